//! The reader on the forms that real files use, and on arbitrary input.

use proptest::prelude::*;

use super::*;

/// The tree in one line, without positions.
fn shown(text: &str) -> String {
    fn body(body: &Body) -> String {
        let entries: Vec<_> = body
            .entries
            .iter()
            .map(|entry| {
                let labels: String =
                    entry.labels.iter().map(|label| format!(" {:?}", label.text)).collect();
                format!("{}{labels}={}", entry.key.text, value(&entry.value))
            })
            .collect();
        format!("{{{}}}", entries.join(" "))
    }
    fn value(value_: &Value) -> String {
        match &value_.kind {
            ValueKind::String(text) => format!("{text:?}"),
            ValueKind::Integer(number) => number.to_string(),
            ValueKind::Float(number) => format!("{number:?}"),
            ValueKind::Bool(yes) => yes.to_string(),
            ValueKind::List(values) => {
                format!("[{}]", values.iter().map(value).collect::<Vec<_>>().join(" "))
            }
            ValueKind::Object(inner) => body(inner),
        }
    }
    match parse(text) {
        Ok(tree) => body(&tree),
        Err(error) => error.to_string(),
    }
}

#[test]
fn reads_the_forms_of_real_files() {
    for (text, tree) in [
        ("", "{}"),
        ("\u{feff}a = 1", "{a=1}"),
        ("a = 1\r\nb = \"x\"\r\n", "{a=1 b=\"x\"}"),
        ("\"a\" = true, b = false", "{a=true b=false}"),
        ("listener \"tcp\" { address = \"x\" }", "{listener \"tcp\"={address=\"x\"}}"),
        ("path \"a\" = { x = 1 }", "{path \"a\"={x=1}}"),
        ("path \"a\" {} path \"b\" {}", "{path \"a\"={} path \"b\"={}}"),
        (
            "path \"a\" { capabilities = [\"read\", \"list\",] }",
            "{path \"a\"={capabilities=[\"read\" \"list\"]}}",
        ),
        ("a = [] # one\n// two\n/* three\n */ b = [[1], {c = 2}]", "{a=[] b=[[1] {c=2}]}"),
        ("a = -12 b = 0x1F c = 010 d = 1.5 e = 2e3 f = 0", "{a=-12 b=31 c=8 d=1.5 e=2000.0 f=0}"),
        (r#"a = "\n\t\\\"\x41\u00e9\U0001F600\101""#, "{a=\"\\n\\t\\\\\\\"AéA😀A\"}"),
        (r#"a = "${b["c"]}\"""#, "{a=\"${b[\\\"c\\\"]}\\\"\"}"),
        ("a = <<EOF\none\n  two\nEOF\nb = 1", "{a=\"one\\n  two\\n\" b=1}"),
        ("a = <<-EOF\n    one\n      two\n    EOF\n", "{a=\"one\\n  two\\n\"}"),
        ("a = <<-EOF\n  one\n    EOF", "{a=\"  one\\n\"}"),
        ("a.b-c_d = 1", "{a.b-c_d=1}"),
    ] {
        let wanted = tree.replace("AéA😀A", "Aé😀A");
        assert_eq!(shown(text), wanted, "{text}");
    }
}

#[test]
fn reads_json() {
    let text =
        r#" {"a": "x\/\ud83d\ude00${", "b": [1, true], "listener": [{"tcp": {"address": "y"}}]} "#;
    assert_eq!(shown(text), "{a=\"x/😀${\" b=[1 true] listener=[{tcp={address=\"y\"}}]}");
    assert_eq!(shown("{} x"), "1:4: nothing may follow the closing brace");
    assert_eq!(shown(r#"{"a" = 1}"#), "1:6: `a` is followed by neither a value nor a block");
}

#[test]
fn an_error_has_its_position_and_what_is_expected() {
    for (text, message) in [
        ("a = ", "1:5: a value is expected here, not the end"),
        ("a = b", "1:5: text stands in quotes: \"b\""),
        ("a\n= }", "2:3: a value is expected here, not '}'"),
        ("a {\n  b = 1\n", "1:3: this brace is not closed: `}` is missing"),
        ("}", "1:1: this brace closes nothing"),
        ("a = [1", "1:5: this bracket is not closed: `]` is missing"),
        ("a = [1 2]", "1:8: `,` or `]` is expected after a value of a list"),
        ("a = \"b\nc\"", "1:5: this text is not closed: `\"` is missing on its line"),
        ("a = \"é\\q\"", "1:7: unknown escape; a backslash itself is written `\\\\`"),
        ("a = \"\\ud800\"", "1:6: unknown escape; a backslash itself is written `\\\\`"),
        ("/* a", "1:1: this comment is not closed: `*/` is missing"),
        ("a = <<EOF\nb", "1:5: this text has no end: a line with `EOF` is missing"),
        ("a = 1x", "1:5: `1x` is not a number"),
        ("a = -", "1:5: `-` is not a number"),
        ("a = 99999999999999999999", "1:5: `99999999999999999999` is not a number"),
        ("a \"b\" = 1", "1:9: after names, a block in braces is expected, not a number"),
        ("a = null", "1:5: text stands in quotes: \"null\""),
        ("\0", "1:1: a key is expected here, not '\\0'"),
    ] {
        assert_eq!(shown(text), message, "{text}");
    }
}

#[test]
fn the_three_forms_of_a_block_are_equal() {
    for text in [
        "listener \"tcp\" { a = 1 }\nlistener \"tcp\" { a = 1 }",
        "listener = { tcp = { a = 1 } }\nlistener tcp { a = 1 }",
        r#"{"listener": [{"tcp": {"a": 1}}, {"tcp": {"a": 1}}]}"#,
        r#"{"listener": {"tcp": [{"a": 1}, {"a": 1}]}}"#,
    ] {
        let tree = parse(text).unwrap();
        let blocks: Vec<_> =
            tree.entries.iter().flat_map(|entry| entry.blocks(1).unwrap()).collect();
        assert_eq!(blocks.len(), 2, "{text}");
        for block in blocks {
            assert_eq!(block.labels[0].text, "tcp");
            assert_eq!(block.body.entries[0].key.text, "a");
        }
    }
    for (text, message) in [
        ("a = 1", "1:5: `a` needs a name and a block: a \"name\" { … }"),
        ("a \"b\" \"c\" {}", "1:7: `a` takes 1 names before its brace"),
        ("a { b = 1 }", "1:9: `a` is a block in braces, not a number"),
        ("a { b \"c\" {} }", "1:5: `a` has too many names"),
    ] {
        let tree = parse(text).unwrap();
        assert_eq!(tree.entries[0].blocks(1).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn refuses_values_that_are_nested_too_deep() {
    for text in ["a {".repeat(100_000), format!("a = {}", "[".repeat(100_000))] {
        assert!(parse(&text).unwrap_err().message.contains("too deep"));
    }
    assert!(parse(&format!("{}{}", "a {".repeat(60), "}".repeat(60))).is_ok());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_sequence_of_tokens_makes_it_panic(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "a", "\"b\"", "=", ":", "{", "}", "[", "]", ",", "\n", " ", "<<E", "<<-E", "E\n",
                "1", "-", "0x", "1e", ".", "\"", "\\", "\\u", "d83d", "${", "#", "//", "/*", "*/",
                "true", "é", "\u{feff}", "\r\n", "\0",
            ]),
            0..40,
        ),
    ) {
        let text = tokens.concat();
        for block in parse(&text).map(|tree| tree.entries).unwrap_or_default() {
            for labels in 0..3 {
                let _ = block.blocks(labels);
            }
        }
    }

    #[test]
    fn every_text_survives_quotes(text in any::<String>()) {
        let escaped: String = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
        let tree = parse(&format!("a = \"{escaped}\"")).unwrap();
        prop_assert_eq!(&tree.entries[0].value.kind, &ValueKind::String(text));
    }
}
