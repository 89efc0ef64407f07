//! What is wrong with a body, field by field.

/// How many errors are told of one body; the rest would help nobody.
const MAX_ERRORS: usize = 100;

/// One field that is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901) into the body. Empty for the body itself.
    pub pointer: String,
    /// What is wrong with it, for people.
    pub message: String,
}

/// All that is wrong with one body, at most 100 errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// One error alone.
    #[must_use]
    pub fn one(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![FieldError {
            pointer: pointer.into(),
            message: message.into(),
        }])
    }

    /// Adds an error.
    pub fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < MAX_ERRORS {
            self.0.push(FieldError {
                pointer: pointer.into(),
                message: message.into(),
            });
        }
    }

    /// Adds `message` unless `holds`.
    pub fn require(&mut self, holds: bool, pointer: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.add(pointer, message());
        }
    }

    /// `value`, if nothing is wrong.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// The errors, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &FieldError> {
        self.0.iter()
    }
}
