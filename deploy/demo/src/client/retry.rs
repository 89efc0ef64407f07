//! Trying again while the service does not answer.

use std::time::Duration;

use rand::RngExt;
use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response};

use super::call::CallError;

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause, also where the service asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often a request is tried.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// The most attempts, the first included.
    pub attempts: u32,
}

impl Retries {
    /// Sends a request, again and again while nobody answers or the service says that it cannot
    /// now. Whoever calls this sees to it that a request may arrive twice. `request` makes it anew
    /// for each attempt.
    pub(super) async fn send(
        self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, CallError> {
        let mut attempt = 1;
        loop {
            let (error, asked) = match request().send().await {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) => {
                    let passing = matches!(answer.status().as_u16(), 429 | 502 | 503 | 504);
                    let asked = retry_after(&answer);
                    let error = CallError::from_answer(answer).await;
                    if !passing {
                        return Err(error);
                    }
                    (error, asked)
                }
                Err(error) if error.is_builder() => return Err(error.into()),
                Err(error) => (error.into(), None),
            };
            if attempt >= self.attempts {
                return Err(error);
            }
            let pause = pause(attempt, asked);
            tracing::debug!(%error, attempt, pause_ms = pause.as_millis(), "trying again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }
}

/// The pause after the `attempt`-th try, between half of the full length and the full length, so
/// that clients that failed together do not come back together.
fn pause(attempt: u32, asked: Option<Duration>) -> Duration {
    let full = FIRST_PAUSE
        .saturating_mul(1 << (attempt - 1).min(10))
        .min(LONGEST_PAUSE);
    let jittered = full.mul_f64(rand::rng().random_range(0.5..=1.0));
    asked.map_or(jittered, |asked| asked.max(jittered).min(LONGEST_PAUSE))
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded_even_where_the_service_asks_for_more() {
        for attempt in 1..100 {
            let pause_ms = pause(attempt, None).as_millis();
            let full = (100_u128 << (attempt - 1).min(10)).min(5000);
            assert!(
                (full / 2..=full).contains(&pause_ms),
                "{attempt}: {pause_ms}"
            );
        }
        let asked = |seconds| pause(1, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(1), Duration::from_secs(1));
        assert_eq!(asked(86_400), LONGEST_PAUSE);
    }
}
