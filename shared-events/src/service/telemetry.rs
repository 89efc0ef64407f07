//! Logs and traces.

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::settings::{LogFormat, ServiceSettings};

/// Sends what is left of the traces when it is shut down.
pub(super) struct Telemetry {
    tracing: SdkTracerProvider,
}

impl Telemetry {
    /// Installs logs and traces for the process.
    ///
    /// Spans always have a trace context, so that a change can be followed through the services;
    /// they are exported only where an endpoint is set.
    pub(super) fn install(
        service: &'static str,
        settings: &ServiceSettings,
    ) -> anyhow::Result<Self> {
        let mut provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name(service).build());
        if let Some(endpoint) = &settings.otel_exporter_otlp_endpoint {
            let exporter = opentelemetry_otlp::SpanExporter::builder()
                .with_http()
                .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
                .build()
                .context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
            provider = provider.with_batch_exporter(exporter);
        }
        let provider = provider.build();

        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let log = match settings.log_format {
            LogFormat::Text => log.boxed(),
            LogFormat::Json => log.json().flatten_event(true).boxed(),
        };
        let filter = EnvFilter::try_new(&settings.rust_log).context("RUST_LOG")?;
        // Traces follow the services' own spans whatever is logged.
        let spans = Targets::new()
            .with_default(LevelFilter::OFF)
            .with_target("shared_events", LevelFilter::INFO)
            .with_target("schedule_service", LevelFilter::INFO)
            .with_target("availability_worker", LevelFilter::INFO)
            .with_target("notifier", LevelFilter::INFO);
        let traces = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(service))
            .with_filter(spans);
        tracing_subscriber::registry()
            .with(log.with_filter(filter))
            .with(traces)
            .try_init()
            .context("logs are installed already")?;
        Ok(Self { tracing: provider })
    }

    /// Sends what is left.
    pub(super) fn finish(self) {
        if let Err(error) = self.tracing.shutdown() {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}
