//! A whole system on a test bed, with a client for each of its sides.

use stack::service::ServiceKind;
use stack::system::SystemBuilder;
use stack::{Backends, System, TestBed};

use crate::availability_api::AvailabilityApi;
use crate::schedule_api::ScheduleApi;
use crate::stream_client::StreamClient;
use crate::subscriber::{self, Subscriber};

/// The three services, and the servers that nobody else uses.
#[derive(Debug)]
pub struct Deployment {
    /// The services.
    pub system: System,
    /// The write side.
    pub schedules: ScheduleApi,
    /// The read side.
    pub availability: AvailabilityApi,
    backends: Backends,
    // Last, so that the services end before their servers do.
    bed: Option<TestBed>,
}

impl Deployment {
    /// One of each service.
    pub async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    /// What `build` makes of one of each service.
    pub async fn start_with(build: impl FnOnce(SystemBuilder) -> SystemBuilder) -> Self {
        let bed = TestBed::new().await;
        let mut deployment = Self::on(bed.backends(), build).await;
        deployment.bed = Some(bed);
        deployment
    }

    /// On servers that the test holds itself.
    pub async fn on(
        backends: Backends,
        build: impl FnOnce(SystemBuilder) -> SystemBuilder,
    ) -> Self {
        let builder = build(System::builder(backends.clone()));
        let system = Box::pin(builder.start()).await.expect("a running system");
        Self {
            schedules: ScheduleApi::new(system.schedule_url()),
            availability: AvailabilityApi::new(system.availability_url()),
            system,
            backends,
            bed: None,
        }
    }

    /// The test bed.
    #[must_use]
    pub fn bed(&self) -> &TestBed {
        self.bed.as_ref().expect("a deployment on a test bed")
    }

    /// Where its servers are.
    #[must_use]
    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// A queue that is bound to the exchange by `pattern`.
    pub async fn subscriber(&self, pattern: &str) -> Subscriber {
        Subscriber::bind(&self.backends.amqp_url, pattern).await
    }

    /// A client of the first notifier's stream.
    pub async fn stream(&self, query: &str) -> StreamClient {
        StreamClient::open(self.system.notifier_url(), query).await
    }

    /// Asserts that no event was given up and that nothing has panicked.
    pub async fn assert_sound(&self) {
        let dead = subscriber::waiting_in(&self.backends.amqp_url, subscriber::DEAD_LETTER_QUEUE);
        assert_eq!(dead.await, 0, "dead letters");
        for kind in ServiceKind::ALL {
            for service in self.system.services(kind) {
                let log = service.log();
                let panic = log.lines().find(|line| line.contains("panicked"));
                assert_eq!(panic, None, "in the log of {}", service.name());
            }
        }
    }
}
