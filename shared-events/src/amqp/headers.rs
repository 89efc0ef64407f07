//! Reading a message's headers, whoever has written them: clients and brokers choose the type of a
//! number as they like.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::trace::TraceHeaders;

/// The headers of one message.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(Option<&'a FieldTable>);

impl<'a> Headers<'a> {
    /// Those of a message with these properties.
    #[must_use]
    pub fn of(properties: &'a BasicProperties) -> Self {
        Self(properties.headers().as_ref())
    }

    fn value(self, name: &str) -> Option<&'a AMQPValue> {
        self.0?.inner().get(name)
    }

    /// A header that is text.
    #[must_use]
    pub fn text(self, name: &str) -> Option<String> {
        match self.value(name)? {
            AMQPValue::LongString(text) => {
                Some(String::from_utf8_lossy(text.as_bytes()).into_owned())
            }
            _ => None,
        }
    }

    /// A header that is a whole number, not negative.
    #[must_use]
    pub fn unsigned(self, name: &str) -> Option<u64> {
        match self.value(name)? {
            AMQPValue::LongLongInt(n) => u64::try_from(*n).ok(),
            AMQPValue::LongInt(n) => u64::try_from(*n).ok(),
            AMQPValue::LongUInt(n) => Some(u64::from(*n)),
            AMQPValue::ShortInt(n) => u64::try_from(*n).ok(),
            AMQPValue::ShortUInt(n) => Some(u64::from(*n)),
            AMQPValue::ShortShortInt(n) => u64::try_from(*n).ok(),
            AMQPValue::ShortShortUInt(n) => Some(u64::from(*n)),
            AMQPValue::Timestamp(n) => Some(*n),
            _ => None,
        }
    }

    /// A header that counts something; 0 where there is none that can be read.
    #[must_use]
    pub fn count(self, name: &str) -> u32 {
        self.unsigned(name)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0)
    }

    /// The trace that the message belongs to.
    #[must_use]
    pub fn trace(self) -> TraceHeaders {
        TraceHeaders {
            traceparent: self.text("traceparent"),
            tracestate: self.text("tracestate"),
        }
    }
}
