//! Starts, stops, kills, pauses and cuts off the real servers and the services of Rosterwire.
//!
//! Running the demo, testing faults and benchmarking need the same thing: PostgreSQL, RabbitMQ and
//! Redis with data of their own on free ports, the three services, and a handle on each process.
//! Every process started from here dies when the starting one does, however that ends.

pub mod access;
pub mod backends;
pub mod certificates;
pub mod database;
pub mod launch;
pub mod management;
pub mod ports;
pub mod private_servers;
pub mod process;
pub mod procfs;
pub mod proxy;
pub mod rights;
pub mod scratch;
mod secrecy;
pub mod server;
pub mod servers;
pub mod service;
pub mod state;
pub mod supervise;
pub mod system;
pub mod testbed;
pub mod walk;

pub use access::AccessKey;
pub use backends::Backends;
pub use certificates::Authority;
pub use management::Management;
pub use private_servers::PrivateServers;
pub use proxy::Proxy;
pub use server::Server;
pub use servers::postgres::Postgres;
pub use servers::rabbitmq::RabbitMq;
pub use servers::redis::Redis;
pub use service::{Service, ServiceKind, ServiceSettings};
pub use system::System;
pub use testbed::TestBed;
