//! `auth_callout {}`.

use nkeys::XKey;

use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::options::CalloutOptions;

/// The keys of `auth_callout {}`.
pub(super) const KEYS: &[Key<CalloutOptions>] = &[
    Key {
        names: &["issuer"],
        takes: "string A…",
        default: "required",
        doc: "The public key of an account with whose private key answers are signed, and the JWTs of users in them.",
        read: |options, field| {
            natsd_auth::check_account_key(field.text()?)?;
            field.text().map(|key| key.clone_into(&mut options.issuer))
        },
    },
    Key {
        names: &["account", "acc"],
        takes: "string",
        default: "\"$G\"",
        doc: "The account in which who decides listens to `$SYS.REQ.USER.AUTH`.",
        read: |options, field| field.text().map(|account| account.clone_into(&mut options.account)),
    },
    Key {
        names: &["auth_users", "users"],
        takes: "list of strings",
        default: "required",
        doc: "Users, by name or nkey, on whom nobody decides: those who decide.",
        read: |options, field| {
            options.users = field.each(|field| field.text().map(str::to_owned))?;
            Ok(())
        },
    },
    Key {
        names: &["xkey", "key"],
        takes: "string X…",
        default: "none",
        doc: "Encrypts questions so that only who has the private key reads them; answers may be encrypted then, too.",
        read: |options, field| {
            let key = field.text()?;
            if XKey::from_public_key(key).is_err() {
                return Err(ValueError::Word { found: key.to_owned(), expected: "the public key of a curve, X…" });
            }
            options.xkey = Some(key.to_owned());
            Ok(())
        },
    },
    Key {
        names: &["allowed_accounts"],
        takes: "list of strings",
        default: "all",
        doc: "Accounts of listed users on whom somebody decides; on those of `$G` and on users that are not listed always.",
        read: |options, field| {
            options.accounts = field.each(|field| field.text().map(str::to_owned))?;
            Ok(())
        },
    },
];

/// Reads the block.
pub(super) fn read(field: &mut Field<'_>) -> Result<CalloutOptions, ValueError> {
    let mut options = CalloutOptions::default();
    if field.map(KEYS, &[], &mut options)? {
        if options.issuer.is_empty() {
            return Err(ValueError::Missing("issuer"));
        }
        if options.users.is_empty() {
            return Err(ValueError::Missing("auth_users"));
        }
    }
    Ok(options)
}
