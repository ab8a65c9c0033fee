use super::super::tokens::tests::{answered, challenge};
use super::*;
use everleaf_nodes::facts::Method;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

/// What a handshake with these protocols for that name ended with: the certificate, if there was
/// one, and the protocol.
async fn shake(tokens: &Tokens, name: &str, protocols: &[&[u8]]) -> Option<(Vec<u8>, Vec<u8>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ended = async {
        let _ = stopped.await;
    };
    let server = tokio::spawn(serve_proofs(listener, tokens.clone(), ended));
    let mut config: ClientConfig = super::super::handshake::trusting().unwrap();
    config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let seen = shaken.ok().map(|stream| {
        let connection = stream.get_ref().1;
        let certificate = connection.peer_certificates().unwrap()[0].to_vec();
        (certificate, connection.alpn_protocol().unwrap_or_default().to_vec())
    });
    drop(stop);
    server.await.unwrap();
    seen
}

fn held(host: &str) -> Tokens {
    let tokens = Tokens::default();
    tokens.put(&challenge("c"), &answered(Method::TlsAlpn01, "tok", host));
    tokens
}

#[tokio::test]
async fn a_ca_sees_the_proof_for_the_name_and_nobody_else_sees_anything() {
    let tokens = held("shop.test");
    let (certificate, protocol) = shake(&tokens, "SHOP.test", &[PROTOCOL]).await.unwrap();
    assert_eq!(protocol, PROTOCOL);
    assert!(proves(&certificate, "tok.key"));
    assert!(!proves(&certificate, "other.key"));
    assert!(shake(&tokens, "other.test", &[PROTOCOL]).await.is_none(), "another name");
    assert!(shake(&tokens, "shop.test", &[b"h2", b"http/1.1"]).await.is_none(), "a browser");
    assert!(shake(&tokens, "shop.test", &[]).await.is_none(), "no protocol");
    tokens.put(&challenge("c"), &answered(Method::Http01, "tok", "shop.test"));
    assert!(shake(&tokens, "shop.test", &[PROTOCOL]).await.is_none(), "it is met over HTTP");
}

#[tokio::test]
async fn an_address_is_asked_for_by_its_reverse_name_and_stands_as_an_address() {
    for (address, der) in [
        ("192.0.2.7", b"\x87\x04\xc0\x00\x02\x07".to_vec()),
        ("2001:db8::7", {
            let octets = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
            [b"\x87\x10".as_slice(), &octets].concat()
        }),
    ] {
        let seen = shake(&held(address), &asked_as(address), &[PROTOCOL]).await;
        let (certificate, _) = seen.unwrap_or_else(|| panic!("{address}"));
        assert!(proves(&certificate, "tok.key"));
        // The tag and length of iPAddress, and its octets (RFC 5280, section 4.2.1.6).
        assert!(certificate.windows(der.len()).any(|part| part == der), "{address}");
    }
}

#[test]
fn reverse_names_lead_back_to_their_addresses_and_broken_ones_are_names() {
    for host in ["192.0.2.7", "2001:db8::7", "::", "shop.test"] {
        assert_eq!(asked_for(&asked_as(host)), host);
    }
    assert_eq!(asked_as("192.0.2.7"), "7.2.0.192.in-addr.arpa");
    for name in ["2.0.192.in-addr.arpa", "256.2.0.192.in-addr.arpa", "7.ip6.arpa", "arpa", ""] {
        assert_eq!(asked_for(name), name);
    }
}
