use super::*;
use everleaf_nodes::facts::AcmeState;

pub(crate) fn challenge(name: &str) -> ObjectKey<Kind> {
    ObjectKey::new(Kind::Challenge, "shop", name)
}

pub(crate) fn answered(method: Method, token: &str, host: &str) -> Answered {
    let (host, key) = (host.into(), format!("{token}.key").as_str().into());
    Answered { method, host, token: token.into(), key }
}

fn put(tokens: &Tokens, name: &str, token: &str, host: &str) {
    tokens.put(&challenge(name), &answered(Method::Http01, token, host));
}

fn facts(token: &str, host: &str) -> ChallengeFacts {
    let object = serde_json::json!({
        "metadata": { "name": "c", "namespace": "shop", "uid": "u" },
        "spec": {
            "dnsName": host, "token": token, "key": format!("{token}.key"), "type": "HTTP-01",
        },
    });
    everleaf_nodes::project::challenge(&serde_json::from_value(object).unwrap())
}

fn shown(name: &str, facts: ChallengeFacts) -> Delta<Kind, Facts> {
    let facts = Facts::Challenge(Box::new(facts));
    let (feed, key) = (feed::CHALLENGES, challenge(name));
    Delta::Applied { feed, key, uid: "u".into(), rv: 1, live: false, facts }
}

#[test]
fn a_host_is_compared_without_port_brackets_case_and_last_dot() {
    let tokens = Tokens::default();
    put(&tokens, "1", "t", "Shop.example.test");
    put(&tokens, "2", "six", "2001:db8::1");
    for host in ["shop.example.test", "SHOP.example.test:80", "shop.example.test."] {
        assert_eq!(tokens.get("t", host).as_deref(), Some("t.key"), "{host}");
    }
    for host in ["[2001:db8::1]:80", "[2001:DB8::1]", "2001:db8::1"] {
        assert_eq!(tokens.get("six", host).as_deref(), Some("six.key"), "{host}");
    }
    for host in ["other.example.test", "", "shop.example.test.evil.test"] {
        assert_eq!(tokens.get("t", host), None, "{host}");
    }
}

#[test]
fn a_token_that_two_challenges_share_is_answered_until_both_are_gone() {
    let tokens = Tokens::default();
    put(&tokens, "here", "t", "a.test");
    put(&tokens, "there", "t", "a.test");
    put(&tokens, "other", "t", "b.test");
    tokens.remove(&challenge("here"));
    assert!(tokens.get("t", "a.test").is_some());
    tokens.remove(&challenge("there"));
    assert_eq!(tokens.get("t", "a.test"), None);
    assert!(tokens.get("t", "b.test").is_some());
}

#[test]
fn it_never_holds_more_than_its_bound_and_forgets_the_oldest() {
    let tokens = Tokens::default();
    for number in 0..=MOST_TOKENS {
        put(&tokens, &number.to_string(), &number.to_string(), "a.test");
    }
    assert_eq!(tokens.get("0", "a.test"), None);
    assert!(tokens.get(&MOST_TOKENS.to_string(), "a.test").is_some());
    let held = tokens.0.read().unwrap();
    let counts = (held.by_challenge.len(), held.index.len(), held.by_age.len());
    assert_eq!(counts, (MOST_TOKENS, MOST_TOKENS, MOST_TOKENS));
}

#[test]
fn a_challenge_is_answered_from_its_creation_until_it_is_final_or_goes() {
    let tokens = Tokens::default();
    let answers = || tokens.get("t", "a.test").is_some();
    tokens.observe(&shown("c", facts("t", "a.test")));
    assert!(answers(), "before anybody presents it");
    let last = ChallengeFacts { state: AcmeState::Valid, ..facts("t", "a.test") };
    tokens.observe(&shown("c", last));
    assert!(!answers(), "it is final");
    tokens.observe(&shown("c", facts("t", "a.test")));
    let going = ChallengeFacts { deleted: Some(<_>::default()), ..facts("t", "a.test") };
    tokens.observe(&shown("c", going));
    assert!(!answers(), "it is being deleted");
    tokens.observe(&shown("c", facts("t", "a.test")));
    let (feed, key) = (feed::CHALLENGES, challenge("c"));
    tokens.observe(&Delta::Deleted { feed, key, uid: "u".into() });
    assert!(!answers(), "it is gone");
}

#[test]
fn a_list_forgets_what_it_does_not_show_but_nothing_that_came_meanwhile() {
    let (tokens, feed) = (Tokens::default(), feed::CHALLENGES);
    put(&tokens, "old", "old", "a.test");
    put(&tokens, "kept", "kept", "a.test");
    tokens.observe(&Delta::ListBegin { feed });
    tokens.observe(&shown("kept", facts("kept", "a.test")));
    put(&tokens, "new", "new", "a.test");
    tokens.observe(&Delta::ListEnd { feed, rv: 9 });
    assert_eq!(tokens.get("old", "a.test"), None);
    assert!(tokens.get("kept", "a.test").is_some());
    assert!(tokens.get("new", "a.test").is_some());
}

#[test]
fn of_two_challenges_for_one_host_the_newer_is_proved_by_tls_and_then_the_other() {
    let tokens = Tokens::default();
    for name in ["1", "2"] {
        tokens.put(&challenge(name), &answered(Method::TlsAlpn01, name, "A.test"));
    }
    let token = || tokens.proof("a.test").map(|(answered, _)| answered.token);
    assert_eq!(token().as_deref(), Some("2"));
    tokens.remove(&challenge("2"));
    assert_eq!(token().as_deref(), Some("1"));
    assert_eq!(tokens.get("1", "a.test"), None, "it is no answer over HTTP");
}
