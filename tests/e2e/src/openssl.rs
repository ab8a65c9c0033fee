//! `openssl` as a second opinion on keys and certificates.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Runs `openssl` on files in a folder of its own.
pub struct OpenSsl {
    folder: PathBuf,
}

impl OpenSsl {
    pub(crate) fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("a folder for openssl");
        Self { folder }
    }

    /// Where a file of that name would be.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Writes a file, and says where.
    pub fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.join(name);
        fs::write(&path, content).expect("a file for openssl");
        path.display().to_string()
    }

    /// Runs `openssl` with these arguments.
    ///
    /// # Errors
    /// What it said, if it did not succeed.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let ran = Command::new("openssl").args(arguments).output().expect("openssl is installed");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        match ran.status.success() {
            true => Ok(said),
            false => Err(format!("{said}{}", String::from_utf8_lossy(&ran.stderr))),
        }
    }

    /// Panics unless the first certificate of `chain` verifies against `ca`, the rest of the chain
    /// helping.
    #[track_caller]
    pub fn verify(&self, ca: &[u8], chain: &[u8]) {
        let (ca, chain) = (self.file("ca.crt", ca), self.file("chain.crt", chain));
        let arguments = ["verify", "-CAfile", &ca, "-untrusted", &chain, &chain];
        let said = self.run(&arguments).unwrap_or_else(|error| panic!("{error}"));
        assert!(said.contains(": OK"), "{said}");
    }

    /// What `openssl x509` tells of the first certificate, asked with these options.
    #[track_caller]
    pub fn x509(&self, certificate: &[u8], options: &[&str]) -> String {
        let file = self.file("leaf.crt", certificate);
        let arguments = [&["x509", "-noout", "-in", &file], options].concat();
        self.run(&arguments).unwrap_or_else(|error| panic!("{error}")).trim_end().to_owned()
    }

    /// Everything that there is to tell of the first certificate.
    #[track_caller]
    pub fn dump(&self, certificate: &[u8]) -> String {
        self.x509(certificate, &["-text", "-nameopt", "RFC2253"])
    }

    /// The public key of a private key, as PEM.
    #[track_caller]
    pub fn public_key(&self, private_key: &[u8]) -> String {
        let file = self.file("tls.key", private_key);
        let said = self.run(&["pkey", "-in", &file, "-pubout"]);
        said.unwrap_or_else(|error| panic!("{error}")).trim_end().to_owned()
    }

    /// Panics unless the private key is the first certificate's.
    #[track_caller]
    pub fn assert_pair(&self, certificate: &[u8], private_key: &[u8]) {
        assert_eq!(self.x509(certificate, &["-pubkey"]), self.public_key(private_key));
    }

    /// A fresh self-signed certificate and its key, for what people put into Secrets themselves.
    pub fn self_signed(&self, common_name: &str) -> (Vec<u8>, Vec<u8>) {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let (certificate, key) = (path("own.crt"), path("own.key"));
        let subject = format!("/CN={common_name}");
        let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let names = format!("subjectAltName=DNS:{common_name}");
        let rest = ["-subj", &subject, "-addext", &names, "-keyout", &key, "-out", &certificate];
        let arguments = [&["req", "-x509", "-days", "30"][..], &kind, &rest].concat();
        self.run(&arguments).unwrap_or_else(|error| panic!("{error}"));
        let read = |path: &str| fs::read(path).expect("what openssl wrote");
        (read(&certificate), read(&key))
    }

    /// A signing request with a fresh key, which asks for these extensions, such as
    /// `basicConstraints=CA:TRUE`.
    pub fn request(&self, common_name: &str, extensions: &[&str]) -> Vec<u8> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let (request, key) = (path("own.csr"), path("own.key"));
        let subject = format!("/CN={common_name}");
        let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let rest = ["-subj", &subject, "-keyout", &key, "-out", &request];
        let asked: Vec<&str> = extensions.iter().flat_map(|one| ["-addext", one]).collect();
        let arguments = [&["req"][..], &kind, &rest, &asked].concat();
        self.run(&arguments).unwrap_or_else(|error| panic!("{error}"));
        fs::read(&request).expect("what openssl wrote")
    }
}
