//! Bootstrap data as a template.

use super::*;

#[test]
fn variables_without_values_are_refused() {
    let text = PLAIN.replace("ds.meta_data.local_hostname", "ds.meta_data.unknown");
    let said = said(&text);
    assert!(said.contains("ds.meta_data.unknown"), "{said}");
    // Without the first line, it is no template, and the braces are text.
    let plain = PLAIN.replacen("## template: jinja\n", "", 1);
    assert!(super::said(&plain).contains("contains `{`"), "{}", super::said(&plain));
}

#[test]
fn a_variable_without_a_value_is_one_error() {
    let read = |text: &str| match read("user-data", text, &InstanceData::default()) {
        Ok((_, problems)) | Err(problems) => problems,
    };
    // The name of the machine, in commands, in /etc/hosts and in the configuration, as CAPV writes it.
    let commands = "runcmd:\n  - \"hostname '{{ ds.meta_data.hostname }}'\"\n  - \"echo '127.0.0.1 {{ ds.meta_data.hostname }}' >> \
                    /etc/hosts\"\n";
    let text = PLAIN
        .replace("ds.meta_data.local_hostname", "ds.meta_data.hostname")
        .replacen("runcmd:\n", commands, 1);
    assert!(text.matches("{{").count() > 2, "{text}");
    let problems = read(&text);
    assert_eq!((problems.errors(), problems.warnings()), (1, 0), "{}", problems.brief());
    let brief = problems.brief();
    assert!(
        brief.contains("has no `ds.meta_data.hostname`") && brief.contains("`--hostname NAME`"),
        "{brief}"
    );
    // What does not follow from it is told all the same.
    let more = text.replacen("runcmd:\n", "runcmd:\n  - reboot\n", 1);
    assert_eq!(read(&more).errors(), 2, "{}", read(&more).brief());
}

#[test]
fn a_template_that_is_none_is_told_by_its_line() {
    let swapped = "#cloud-config\n## template: jinja\n";
    let text = PLAIN.replacen("## template: jinja\n#cloud-config\n", swapped, 1);
    must_tell(
        &text,
        "## template: jinja",
        "error",
        "takes a text for a template by its first line alone",
    );
    // What is left of it is not even YAML.
    let text = text.replacen("write_files:", "a: {{ b\nwrite_files:", 1);
    must_tell(
        &text,
        "## template: jinja",
        "error",
        "takes a text for a template by its first line alone",
    );
    assert!(!said(&text).contains("not YAML"), "{}", said(&text));
}
