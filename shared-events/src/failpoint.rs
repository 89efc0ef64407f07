//! Points at which a test may end the process, to see what a crash there leaves behind.

/// Aborts the process if `ROSTERWIRE_FAILPOINT` names this point. A debug build can always be told
/// so; a release build only with the cargo feature `failpoints`, and without it this is nothing.
pub fn reached(point: &str) {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    if std::env::var("ROSTERWIRE_FAILPOINT").is_ok_and(|named| named == point) {
        tracing::error!(point, "failpoint: aborting");
        std::process::abort();
    }
    #[cfg(not(any(debug_assertions, feature = "failpoints")))]
    let _ = point;
}

/// Whether `ROSTERWIRE_MUTANT` names this mistake, which the fault suite makes on purpose to show that
/// its checker finds it. Only where [`reached`] can end the process too.
#[must_use]
pub fn mutant(mistake: &str) -> bool {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    return std::env::var("ROSTERWIRE_MUTANT").is_ok_and(|named| named == mistake);
    #[cfg(not(any(debug_assertions, feature = "failpoints")))]
    {
        let _ = mistake;
        false
    }
}
