//! Where a list goes on, opaque to callers.

use uuid::Uuid;

/// The form of the cursor: another form gets another letter, so that an old cursor is refused
/// instead of misread.
const FORM: char = 'a';

/// The cursor after an item.
pub(super) fn after(id: Uuid) -> String {
    format!("{FORM}{}", id.simple())
}

/// The id of the item after which the list goes on.
pub(super) fn read(cursor: &str) -> Option<Uuid> {
    let id = cursor.strip_prefix(FORM).filter(|id| id.len() == 32)?;
    Uuid::try_parse(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_made_and_nothing_else_is() {
        let id = Uuid::from_u128(0x018f_6b1c_7a2d_7c3e_8f4a_5b6c_7d8e_9f01);
        assert_eq!(read(&after(id)), Some(id));
        for bad in [
            "",
            "a",
            "b018f6b1c7a2d7c3e8f4a5b6c7d8e9f01",
            "a018f",
            &id.to_string(),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
