//! Who may do what: one check in front of every route under `/v1`.
//!
//! A route says in its OpenAPI description what it takes to call it (`security(("token" =
//! ["read"]))`); the check is built from that description, so what is documented is what is
//! enforced, and a route that declares nothing is for administrators alone. Which territories a
//! caller may see is for the handlers to apply, since only they know whose data they touch: they
//! take a [`Caller`].

mod access;
mod caller;
mod describe;
mod guard;
mod jwks;
mod mint;
mod settings;

pub use access::{Access, foreign_page};
pub use caller::{Caller, Permission, Role, Territories, forbidden};
pub use describe::describe;
pub(super) use guard::{Door, guard};
pub use guard::{Need, Needs};
pub use mint::{MintError, Minter, OwnToken};
pub use settings::{AuthMode, AuthSettings, Secret, SigningSettings};

/// The name of the cookie that carries a token where a browser can send no header.
pub const COOKIE: &str = "rosterwire_token";

/// The name of the security scheme in the OpenAPI descriptions.
pub const SCHEME: &str = "token";
