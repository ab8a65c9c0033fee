//! What the tests share: recorded data, quick requests, the real OpenSSL.

#![allow(dead_code, clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use everleaf_pki::{
    CsrInfo, CsrSpec, Curve, Issue, KeyKind, Limits, Name, PrivateKey, SubjectFields,
};

pub const P256: KeyKind = KeyKind::Ecdsa(Curve::P256);

/// 1 January 2026, 00:00:00 UTC.
pub const NOW: i64 = 1_767_225_600;
pub const DAY: i64 = 86_400;

pub fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn limits() -> Limits {
    Limits::default()
}

pub fn key(kind: KeyKind) -> PrivateKey {
    PrivateKey::generate(kind).unwrap()
}

pub fn common_name(name: &str) -> Name {
    Name::from_fields(&SubjectFields { common_name: name.into(), ..Default::default() })
}

/// A request, read back.
pub fn request(spec: &CsrSpec, key: &PrivateKey) -> CsrInfo {
    CsrInfo::parse(spec.build_pem(key).unwrap().as_bytes(), &limits()).unwrap()
}

pub fn named(name: &str) -> CsrSpec {
    CsrSpec { subject: common_name(name), dns_names: vec![name.into()], ..Default::default() }
}

pub fn for_days(days: i64) -> Issue {
    Issue { not_before: NOW, not_after: NOW + days * DAY, ..Default::default() }
}

pub fn ca_for_days(days: i64) -> Issue {
    Issue { is_ca: true, ..for_days(days) }
}

/// The `openssl` on the PATH in a scratch directory of its own.
pub struct OpenSsl(PathBuf);

impl OpenSsl {
    /// `None`, said aloud, where there is no such program.
    pub fn find(test: &str) -> Option<Self> {
        let version = Command::new("openssl").arg("version").output();
        let found = version.is_ok_and(|output| output.status.success());
        if !found {
            // Not `eprintln!`, which the harness swallows where a test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no openssl on the PATH");
            return None;
        }
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        std::fs::create_dir_all(&dir).unwrap();
        Some(OpenSsl(dir))
    }

    /// Writes a file for a later call; returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null()).output().unwrap()
    }

    /// Standard output and standard error of a call that must succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}: {text}");
        text.into_owned()
    }
}
