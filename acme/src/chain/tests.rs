use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn named(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params, KeyPair::generate().unwrap())
}

fn root(name: &str) -> Ca {
    let (params, key) = named(name);
    let pem = params.self_signed(&key).unwrap().pem();
    Ca { issuer: Issuer::new(params, key), pem }
}

fn below(name: &str, parent: &Ca) -> Ca {
    let (params, key) = named(name);
    let pem = params.signed_by(&key, &parent.issuer).unwrap().pem();
    Ca { issuer: Issuer::new(params, key), pem }
}

fn chain(of: &[&Ca]) -> CertificateChain {
    let pem: String = of.iter().map(|ca| ca.pem.as_str()).collect();
    CertificateChain::parse(pem.as_bytes(), &Limits::default()).unwrap()
}

/// What a CA with an old and a new root has: the new one also as a certificate of the old one's.
fn chains() -> Vec<CertificateChain> {
    let (old, new) = (root("Old Root"), root("New Root"));
    let crossed = below("New Root", &old);
    let middle = below("Middle", &new);
    let leaf = below("leaf.test", &middle);
    vec![chain(&[&leaf, &middle, &crossed]), chain(&[&leaf, &middle])]
}

fn chosen(preferred: &str) -> (usize, Choice) {
    let chosen = choose(chains(), preferred).unwrap();
    (chosen.chain.certificates.len(), chosen.choice)
}

#[test]
fn a_chain_that_ends_below_the_name_wins_over_one_that_only_passes_it() {
    assert_eq!(chosen("New Root"), (2, Choice::EndsBelow), "the default passes the name too");
    assert_eq!(chosen("Old Root"), (3, Choice::EndsBelow));
}

#[test]
fn a_name_in_the_middle_counts_where_no_chain_ends_below_it() {
    assert_eq!(chosen("Middle"), (3, Choice::Passes));
}

#[test]
fn the_default_is_taken_where_no_chain_has_the_name_nor_does_the_leafs_own_count() {
    assert_eq!(chosen("Other Root"), (3, Choice::NotFound));
    assert_eq!(chosen("leaf.test"), (3, Choice::NotFound));
    assert_eq!(choose(Vec::new(), "x"), None);
}

#[test]
fn a_chain_without_a_whole_certificate_is_refused() {
    let pem = root("R").pem;
    for bad in ["", "no PEM", &pem[..pem.len() / 2]] {
        assert!(CertificateChain::parse(bad.as_bytes(), &Limits::default()).is_err());
    }
    let limits = Limits { chain: pem.len() - 1, ..Limits::default() };
    assert!(CertificateChain::parse(pem.as_bytes(), &limits).is_err());
}
