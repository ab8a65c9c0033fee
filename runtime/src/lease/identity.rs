//! The name under which this process holds the Lease.

use std::hash::{BuildHasher, Hasher, RandomState};

/// `<hostname>-external-cert-manager-controller-<16 random hex digits>`.
///
/// cert-manager's form with a suffix per process, because a container that starts again keeps its
/// host name, and would otherwise take its predecessor's term for its own.
#[must_use]
pub fn identity() -> String {
    // The standard library seeds its hashers from the system's randomness; this needs to be
    // distinct, not secret.
    let suffix = RandomState::new().build_hasher().finish();
    format!("{}-external-cert-manager-controller-{suffix:016x}", hostname())
}

/// The pod's name in Kubernetes; at most 253 bytes.
fn hostname() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = kernel.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    match name.trim() {
        "" => "unknown".into(),
        name => name.chars().take(253).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_on_one_host_do_not_share_an_identity() {
        let (one, two) = (identity(), identity());
        assert_ne!(one, two);
        assert!(one.contains("-external-cert-manager-controller-"), "{one}");
        assert!(!one.contains(char::is_whitespace), "{one:?}");
    }
}
