use std::collections::BTreeSet;
use std::path::Path;

use natsd_auth::jwt::{Account, Claims, Trust};
use nkeys::{KeyPair, KeyPairType};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

const FULL: Policy = Policy { sharded: false, limit: None, evict: false, ttl: None, delete: Delete::Rename };

fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}

fn operator() -> KeyPair {
    KeyPair::new_from_raw(KeyPairType::Operator, [1; 32]).unwrap()
}

fn key(n: u8) -> String {
    KeyPair::new_from_raw(KeyPairType::Account, [n; 32]).unwrap().public_key()
}

/// The account `n`, as signed at `issued`.
fn token(n: u8, issued: i64, expires: i64) -> String {
    let mut claims = Claims::new(key(n), Account::unlimited());
    claims.registered.expires = expires;
    claims.encode(&operator(), issued).unwrap()
}

fn open(directory: &Path, policy: Policy) -> Store {
    Store::open(directory, policy, at(0)).unwrap()
}

fn hash_of(tokens: &[String]) -> [u8; 32] {
    tokens.iter().fold([0; 32], |hash, token| {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        std::array::from_fn(|n| hash[n] ^ digest[n])
    })
}

#[test]
fn what_is_stored_is_found_again() {
    for sharded in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("new").join("jwt");
        let policy = Policy { sharded, ..FULL };
        let mut store = open(&directory, policy);
        assert_eq!(store.load(&key(1), at(0)).unwrap(), None);
        assert!(store.save(&key(1), &token(1, 10, 0), at(0)).unwrap());
        assert!(!store.save(&key(1), &token(1, 10, 0), at(0)).unwrap(), "it is the same");
        assert!(store.save(&key(1), &token(1, 20, 0), at(0)).unwrap());
        assert!(store.save(&key(2), &token(2, 10, 0), at(0)).unwrap());
        let file = format!("{}.jwt", key(1));
        let path = if sharded { directory.join(&key(1)[54..]).join(&file) } else { directory.join(&file) };
        assert_eq!(std::fs::read_to_string(path).unwrap(), token(1, 20, 0));
        let again = open(&directory, policy);
        assert_eq!(again.keys().collect::<BTreeSet<_>>(), store.keys().collect());
        assert_eq!(again.hash(), hash_of(&[token(1, 20, 0), token(2, 10, 0)]));
        assert_eq!(again.hash(), store.hash());
    }
}

#[test]
fn what_is_no_account_is_left_alone_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let unfinished = dir.path().join(format!("{}.jwt.new", key(1)));
    let large = dir.path().join(format!("{}.jwt", key(2)));
    for path in [&unfinished, &dir.path().join("notes.jwt"), &dir.path().join("x.jwt.new")] {
        std::fs::write(path, "x").unwrap();
    }
    std::fs::write(large, vec![b'x'; natsd_auth::jwt::MAX_SIZE + 1]).unwrap();
    let mut store = open(dir.path(), FULL);
    assert_eq!((store.keys().count(), store.hash()), (0, [0; 32]));
    assert!(!unfinished.exists() && dir.path().join("x.jwt.new").exists());
    for bad in ["", "../x", "/etc/passwd", &operator().public_key(), &key(1)[..55]] {
        assert!(matches!(store.save(bad, "x", at(0)), Err(StoreError::Key(_))), "{bad}");
        assert!(matches!(store.load(bad, at(0)), Err(StoreError::Key(_))), "{bad}");
        assert!(matches!(store.delete(bad), Err(StoreError::Key(_))), "{bad}");
    }
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(Store::open(&file, FULL, at(0)), Err(StoreError::Io { .. })));
}

#[test]
fn a_full_directory_takes_no_more_and_a_cache_drops_what_is_used_least() {
    let dir = tempfile::tempdir().unwrap();
    let mut full = open(dir.path(), Policy { limit: Some(2), ..FULL });
    for n in 1..=2 {
        assert!(full.save(&key(n), &token(n, 10, 0), at(0)).unwrap());
    }
    assert!(matches!(full.save(&key(3), &token(3, 10, 0), at(0)), Err(StoreError::Full)));
    assert!(full.save(&key(2), &token(2, 11, 0), at(0)).unwrap(), "it is there already");

    let mut cache = open(dir.path(), Policy { limit: Some(2), evict: true, ..FULL });
    for n in 1..=2 {
        cache.load(&key(n), at(0)).unwrap().unwrap();
    }
    cache.load(&key(1), at(0)).unwrap().unwrap();
    assert!(cache.save(&key(3), &token(3, 10, 0), at(0)).unwrap());
    assert_eq!(cache.keys().collect::<BTreeSet<_>>(), [key(1), key(3)].iter().map(String::as_str).collect());
    assert_eq!(cache.hash(), hash_of(&[token(1, 10, 0), token(3, 10, 0)]));
    assert_eq!(cache.load(&key(2), at(0)).unwrap(), None);
}

#[test]
fn a_resolver_says_how_its_directory_is_kept() {
    let timeout = Duration::from_secs(1);
    let full =
        Resolver::Full { directory: "f".into(), limit: Some(3), interval: timeout, timeout, delete: Delete::Never };
    let kept = Policy { limit: Some(3), delete: Delete::Never, ..FULL };
    assert_eq!(Policy::of(&full), Some((Path::new("f"), kept)));
    let ttl = Some(Duration::from_secs(9));
    let cache = Resolver::Cache { directory: "c".into(), limit: 5, ttl, timeout };
    let kept = Policy { sharded: false, limit: Some(5), evict: true, ttl, delete: Delete::Remove };
    assert_eq!(Policy::of(&cache), Some((Path::new("c"), kept)));
    assert_eq!(Policy::of(&Resolver::Memory), None);
}

#[test]
fn accounts_expire_and_a_cache_forgets() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), FULL);
    for (n, expires) in [(1, 100), (2, 50), (3, 0)] {
        store.save(&key(n), &token(n, 10, expires), at(0)).unwrap();
    }
    assert_eq!(store.next_expiry(), Some(at(50)));
    assert_eq!(store.pack(&[], at(60)).count(), 2, "what has expired is not told");
    assert_eq!(store.expire(at(49)).unwrap(), Vec::<String>::new());
    assert_eq!(store.expire(at(200)).unwrap(), [key(2), key(1)]);
    assert_eq!((store.next_expiry(), store.hash()), (None, hash_of(&[token(3, 10, 0)])));
    assert_eq!(open(dir.path(), FULL).keys().collect::<Vec<_>>(), [key(3)]);

    let mut cache = open(dir.path(), Policy { ttl: Some(Duration::from_secs(10)), ..FULL });
    assert_eq!(cache.next_expiry(), Some(at(10)));
    cache.load(&key(3), at(5)).unwrap();
    assert_eq!(cache.expire(at(14)).unwrap(), Vec::<String>::new());
    assert_eq!(cache.expire(at(15)).unwrap(), [key(3)]);
}

#[test]
fn deleting_is_allowed_renames_or_removes() {
    let dir = tempfile::tempdir().unwrap();
    let (file, aside) =
        (dir.path().join(format!("{}.jwt", key(1))), dir.path().join(format!("{}.jwt.deleted", key(1))));
    for (delete, kept) in [(Delete::Rename, true), (Delete::Remove, false)] {
        let mut store = open(dir.path(), Policy { delete, ..FULL });
        store.save(&key(1), &token(1, 10, 0), at(0)).unwrap();
        assert!(store.delete(&key(1)).unwrap() && !store.delete(&key(1)).unwrap());
        assert_eq!((file.exists(), aside.exists()), (false, kept));
        assert_eq!((store.keys().count(), store.hash()), (0, [0; 32]));
        let _ = std::fs::remove_file(&aside);
    }
    let mut store = open(dir.path(), Policy { delete: Delete::Never, ..FULL });
    store.save(&key(1), &token(1, 10, 0), at(0)).unwrap();
    assert!(matches!(store.delete(&key(1)), Err(StoreError::NoDelete)) && file.exists());
}

#[test]
fn servers_end_up_with_the_newest_of_all() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut one, mut two) = (open(one.path(), FULL), open(two.path(), FULL));
    for (n, first, second) in [(1, Some(10), None), (2, None, Some(10)), (3, Some(20), Some(10)), (4, Some(5), Some(5))]
    {
        for (store, issued) in [(&mut one, first), (&mut two, second)] {
            if let Some(issued) = issued {
                store.save(&key(n), &token(n, issued, 0), at(0)).unwrap();
            }
        }
    }
    let sent: Vec<_> = one.pack(&two.hash(), at(0)).map(Result::unwrap).collect();
    let mut changed: Vec<_> = sent.iter().flat_map(|line| two.merge(line, at(0)).unwrap()).collect();
    changed.sort();
    let mut expected = [key(1), key(3)];
    expected.sort();
    assert_eq!(changed, expected);
    let sent: Vec<_> = two.pack(&one.hash(), at(0)).map(Result::unwrap).collect();
    assert_eq!(one.merge(&sent.join("\n"), at(0)).unwrap(), [key(2)]);
    assert_eq!(one.hash(), two.hash());
    assert_eq!(one.pack(&two.hash(), at(0)).count(), 0, "they have the same");
}

#[test]
fn what_another_server_sends_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), FULL);
    let good = token(1, 10, 0);
    let forged = good.replace('.', ".A");
    assert!(matches!(store.merge("x", at(0)), Err(StoreError::Line(_))));
    assert!(matches!(store.merge(&format!("{}|{good}|x", key(1)), at(0)), Err(StoreError::Line(_))));
    assert!(matches!(store.merge(&format!("x|{good}"), at(0)), Err(StoreError::Key(_))));
    assert!(matches!(store.merge(&format!("{}|{good}", key(2)), at(0)), Err(StoreError::OtherSubject)));
    assert!(matches!(store.merge(&format!("{}|{forged}", key(1)), at(0)), Err(StoreError::Token(_))));
    assert_eq!(store.keys().count(), 0);
    std::fs::write(dir.path().join(format!("{}.jwt", key(1))), "broken").unwrap();
    assert_eq!(store.merge(&format!("\n{}|{good}\n", key(1)), at(0)).unwrap(), [key(1)], "what is broken is mended");
}

#[test]
fn a_reload_tells_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), FULL);
    for n in 1..=2 {
        store.save(&key(n), &token(n, 10, 0), at(0)).unwrap();
    }
    std::fs::write(dir.path().join(format!("{}.jwt", key(2))), token(2, 20, 0)).unwrap();
    std::fs::write(dir.path().join(format!("{}.jwt", key(3))), token(3, 20, 0)).unwrap();
    let mut changed = store.reload(at(0)).unwrap();
    changed.sort();
    let mut expected = [key(2), key(3)];
    expected.sort();
    assert_eq!(changed, expected);
    assert_eq!(store.reload(at(0)).unwrap(), Vec::<String>::new());
}

#[test]
fn only_the_operator_has_accounts_deleted() {
    use natsd_auth::jwt::Activation;

    // `nats` and nsc send generic claims about the operator itself.
    let request = |by: &KeyPair, about: &str, accounts: serde_json::Value| {
        let encode = |json: serde_json::Value| data_encoding::BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let header = encode(serde_json::json!({"typ": "JWT", "alg": "ed25519-nkey"}));
        let claims = encode(serde_json::json!({"iss": by.public_key(), "sub": about, "nats": {"accounts": accounts}}));
        let signed = format!("{header}.{claims}");
        let signature = data_encoding::BASE64URL_NOPAD.encode(&by.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{signature}")
    };
    let (operator, stranger) = (operator(), KeyPair::new_operator());
    let own = operator.public_key();
    let trust = Trust::new(&[], std::slice::from_ref(&own)).unwrap();
    let ask = |message: &str| deletions(message, &trust, &key(9));
    assert_eq!(ask(&request(&operator, &own, [key(1), key(2)].to_vec().into())), Ok(vec![key(1), key(2)]));
    assert_eq!(ask(&request(&operator, &own, [key(1), key(9)].to_vec().into())), Err(DeletionError::SystemAccount));
    assert_eq!(ask(&request(&operator, &own, ["x"].to_vec().into())), Err(DeletionError::Malformed));
    assert_eq!(ask(&request(&operator, &own, "x".into())), Err(DeletionError::Malformed));
    assert_eq!(ask(&request(&operator, &key(1), [key(1)].to_vec().into())), Err(DeletionError::NotSelfSigned));
    let foreign = request(&stranger, &stranger.public_key(), [key(1)].to_vec().into());
    assert_eq!(ask(&foreign), Err(DeletionError::NotTrusted));
    assert!(matches!(ask("x"), Err(DeletionError::Token(_))));
    let other = Claims::new(key(1), Activation::default()).encode(&operator, 1).unwrap();
    assert_eq!(ask(&other), Err(DeletionError::NotSelfSigned));
}

#[derive(Clone, Debug)]
enum Step {
    Save(u8, i64),
    Merge(u8, i64),
    Load(u8),
    Delete(u8),
    Expire(i64),
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..6_u8, 1..9_i64).prop_map(|(n, issued)| Step::Save(n, issued)),
        (1..6_u8, 1..9_i64).prop_map(|(n, issued)| Step::Merge(n, issued)),
        (1..6_u8).prop_map(Step::Load),
        (1..6_u8).prop_map(Step::Delete),
        (0..40_i64).prop_map(Step::Expire),
        Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn the_index_is_what_is_on_disk(steps in prop::collection::vec(any_step(), 1..16), evict: bool, sharded: bool) {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy { sharded, limit: Some(3), evict, ttl: None, delete: Delete::Remove };
        let mut store = open(dir.path(), policy);
        for step in steps {
            // Every third account expires.
            let made = |n: u8, issued| token(n, issued, if n.is_multiple_of(3) { 20 } else { 0 });
            match step {
                Step::Save(n, issued) => drop(store.save(&key(n), &made(n, issued), at(0))),
                Step::Merge(n, issued) => drop(store.merge(&format!("{}|{}", key(n), made(n, issued)), at(0))),
                Step::Load(n) => drop(store.load(&key(n), at(0)).unwrap()),
                Step::Delete(n) => drop(store.delete(&key(n)).unwrap()),
                Step::Expire(now) => drop(store.expire(at(now)).unwrap()),
                Step::Reopen => store = open(dir.path(), policy),
            }
            prop_assert!(store.keys().count() <= 3);
            let fresh = open(dir.path(), policy);
            prop_assert_eq!(fresh.hash(), store.hash());
            prop_assert_eq!(fresh.keys().collect::<BTreeSet<_>>(), store.keys().collect::<BTreeSet<_>>());
            prop_assert_eq!(fresh.next_expiry(), store.next_expiry());
        }
    }
}
