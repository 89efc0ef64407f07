//! Points at which a test may end the process, to see what a crash there leaves behind.

/// Aborts the process if `ROSTERWIRE_FAILPOINT` names this point. Compiled to nothing without the
/// cargo feature `failpoints`.
pub fn reached(point: &str) {
    #[cfg(feature = "failpoints")]
    if std::env::var("ROSTERWIRE_FAILPOINT").is_ok_and(|named| named == point) {
        tracing::error!(point, "failpoint: aborting");
        std::process::abort();
    }
    #[cfg(not(feature = "failpoints"))]
    let _ = point;
}
