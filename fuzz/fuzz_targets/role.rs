//! A role as JSON: what is read, compiled and shown is read again as the same role, by a write, by
//! a patch and from its record.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use signet::ca::role::{Role, RoleFields};
use signet::ca::time::Timestamp;
use signet::http::call::{Call, Operation};
use signet::http::json::parameters;
use signet::http::pki::role::{merged, read_fields, to_json};
use signet::store::record;

fuzz_target!(|body: &[u8]| {
    let Ok(sent) = parameters(body) else { return };
    let unspecified = RoleFields::unspecified();
    let Some(role) = written(sent.clone(), Operation::Write, unspecified.clone()) else { return };
    let fields = role.fields();
    assert!(fields.max_ttl == 0 || fields.ttl <= fields.max_ttl);
    assert!(!(fields.no_store && fields.generate_lease));

    let Value::Object(shown) = to_json(fields) else { panic!("a role is an object") };
    let again = written(shown.clone(), Operation::Write, unspecified).expect("it was shown");
    assert_eq!(again.fields(), fields);
    for patch in [Map::new(), shown] {
        let patched = written(patch, Operation::Patch, fields.clone()).expect("nothing changes");
        assert_eq!(patched.fields(), fields);
    }
    let octets = record::encode(fields);
    assert_eq!(record::decode::<RoleFields>(&octets).as_ref(), Ok(fields));
});

/// The role that a call with these parameters makes of `before`, if it makes one.
fn written(
    parameters: Map<String, Value>,
    operation: Operation,
    before: RoleFields,
) -> Option<Role> {
    let now = Timestamp::from_unix(1_900_000_000);
    let call = Call { now, path: String::new(), operation, parameters, head: false };
    let sent = read_fields(&call, "web").ok()?;
    let (role, _warnings) = merged(&sent, &call, before).compile("web").ok()?;
    Some(role)
}
