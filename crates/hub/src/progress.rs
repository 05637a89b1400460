//! Who wants to see how far a pull is.

/// Hears of a pull's steps. All methods are called from one thread at a time.
pub trait Progress: Sync {
    /// A file's transfer begins, or goes on where it was interrupted. `bytes` is its size, `have` what is there already.
    fn begin(&self, file: &str, bytes: u64, have: u64);
    /// More of a file has come.
    fn advance(&self, file: &str, bytes: u64);
    /// What was there of a file is of no use; it begins anew.
    fn restart(&self, file: &str);
    /// A file is whole and checked.
    fn end(&self, file: &str);
    /// Something worth a line, such as that another process has the lock.
    fn note(&self, text: &str);
}

/// Nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64, _: u64) {}
    fn advance(&self, _: &str, _: u64) {}
    fn restart(&self, _: &str) {}
    fn end(&self, _: &str) {}
    fn note(&self, _: &str) {}
}
