//! The ids of the frames: where in the stream a client is.

use std::fmt;
use std::str::FromStr;

/// A place in the stream `notifier.updates`: an offset, and what stands there.
///
/// The broker gives the offset, so the id of an event is the same on every notifier and after every
/// restart. The fingerprint tells a stream from another one that was made anew under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The offset of a message in the stream.
    pub offset: u64,
    /// [`fingerprint`] of that message.
    pub fingerprint: u32,
}

/// The longest text of a [`Position`]: twenty digits, a hyphen and eight hexadecimal digits.
pub const MAX_TEXT_LEN: usize = 29;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.offset, self.fingerprint)
    }
}

/// The text is not one that [`Position`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id that this service gives out")]
pub struct Malformed;

impl FromStr for Position {
    type Err = Malformed;

    /// Reads exactly what `Display` writes: one text for one position, no signs, no leading zeros.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (offset, fingerprint) = text.split_once('-').ok_or(Malformed)?;
        let position = Self {
            offset: offset.parse().map_err(|_| Malformed)?,
            fingerprint: u32::from_str_radix(fingerprint, 16).map_err(|_| Malformed)?,
        };
        if position.to_string() == text {
            Ok(position)
        } else {
            Err(Malformed)
        }
    }
}

/// A fingerprint of a message: of its message id, or of its body where it has none.
///
/// FNV-1a, 64 bits folded to 32. It is part of ids that outlive the process, so it stays as it is.
#[must_use]
pub fn fingerprint(message_id: &str, body: &[u8]) -> u32 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = if message_id.is_empty() {
        body
    } else {
        message_id.as_bytes()
    };
    let hash = bytes.iter().fold(OFFSET_BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    });
    let folded = (hash >> 32) ^ (hash & u64::from(u32::MAX));
    u32::try_from(folded).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXT_LEN, Malformed, Position, fingerprint};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_position_is_read_as_it_is_written(offset: u64, fingerprint: u32) {
            let position = Position { offset, fingerprint };
            let text = position.to_string();
            prop_assert!(text.len() <= MAX_TEXT_LEN && text.bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(text.parse(), Ok(position));
        }

        #[test]
        fn what_is_read_as_a_position_is_written_the_same_way(text in "[0-9a-fA-F+ -]{0,32}|.*") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string(), text);
            }
        }
    }

    #[test]
    fn other_spellings_of_a_position_are_refused() {
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-00000000",
            "1-0000000",
            "1-000000001",
            "01-00000000",
        ] {
            assert_eq!(text.parse::<Position>(), Err(Malformed), "{text:?}");
        }
        for text in [
            "+1-00000000",
            "1-ABCDEF01",
            "1-+0000001",
            " 1-00000000",
            "1-00000000\n",
        ] {
            assert_eq!(text.parse::<Position>(), Err(Malformed), "{text:?}");
        }
        assert_eq!(
            "18446744073709551616-00000000".parse::<Position>(),
            Err(Malformed)
        );
    }

    #[test]
    fn the_fingerprint_stays_what_it_was_in_ids_that_clients_hold() {
        assert_eq!(
            fingerprint("01936f5e-8a3c-7b21-9c4d-2f6a1b3c4d5e", b""),
            1_216_236_614
        );
        assert_eq!(fingerprint("", b"a"), fingerprint("a", b"anything"));
        assert_ne!(fingerprint("a", b""), fingerprint("b", b""));
    }
}
