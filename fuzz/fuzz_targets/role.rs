//! A role as JSON: a role that is read, compiled and shown yields the same role when it is written,
//! patched, or read from its record.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use signet::backend::call::Fields;
use signet::backend::pki::roles::{FIELDS, RoleAnswer, patched, written};
use signet::ca::role::{Role, RoleFields};
use signet::http::json::parameters;
use signet::store::record;

fuzz_target!(|body: &[u8]| {
    let Ok(sent) = parameters(body) else { return };
    let Some(role) = compiled(sent, |mut sent| written(&mut sent)) else { return };
    let fields = role.fields();
    assert!(fields.max_ttl == 0 || fields.ttl <= fields.max_ttl);
    assert!(!(fields.no_store && fields.generate_lease));

    let shown = serde_json::to_value(RoleAnswer(fields.clone())).expect("a role is JSON");
    let Value::Object(shown) = shown else { panic!("a role is an object") };
    let again = compiled(shown.clone(), |mut sent| written(&mut sent)).expect("it was shown");
    assert_eq!(again.fields(), fields);
    for patch in [Map::new(), shown] {
        let change = |sent| patched(fields.clone(), sent);
        let changed = compiled(patch, change).expect("nothing changes");
        assert_eq!(changed.fields(), fields);
    }
    let bytes = record::encode(fields);
    assert_eq!(record::decode::<RoleFields>(&bytes).as_ref(), Ok(fields));
});

/// The role of a request with these parameters, if it is valid.
fn compiled(
    parameters: Map<String, Value>,
    change: impl FnOnce(Fields) -> RoleFields,
) -> Option<Role> {
    let sent = Fields::read(parameters, &["name"], &[FIELDS]).ok()?;
    let (role, _warnings) = change(sent).compile("web").ok()?;
    Some(role)
}
