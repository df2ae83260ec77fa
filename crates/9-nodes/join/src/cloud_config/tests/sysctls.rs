//! Kernel settings of bootstrap data.

use super::*;

/// Errors of the check of the NodeConfig that bootstrap data give, at their places in it.
fn told(text: &str) -> String {
    let (data, _) = data(text);
    let config = crate::conversion::undiscovered(&data.request, Some(&data)).unwrap();
    data.origins.tell_errors(&config).0.brief()
}

#[test]
fn settings_of_encoded_files_have_the_lines_of_the_content() {
    let encoded = STANDARD.encode("# a\n\nnet.ipv4.ip_forward = 0\n");
    let text = WORKER.replace(
        "    content: |\n      # of users\n      net.core.somaxconn = 4096\n      \n",
        &format!("    encoding: b64\n    content: {encoded}\n"),
    );
    assert_ne!(text, WORKER);
    let told = told(&text);
    let place = format!("user-data:{}:", line(&text, "encoding: b64") + 1);
    assert!(
        told.contains(&place) && told.contains("(line 3 of the content)"),
        "{told}"
    );
}

#[test]
fn sysctl_reads_a_file_of_the_data_once_more() {
    let with = |command: &str| {
        let files = "write_files:\n-   path: /etc/sysctl.d/10-a.conf\n    content: net.core.somaxconn = 8192\n";
        WORKER
            .replacen("write_files:\n", files, 1)
            .replace("sysctl --system", command)
    };
    let value = |command: &str| data(&with(command)).0.sysctls["net.core.somaxconn"].clone();
    assert_eq!(value("sysctl --system"), "4096");
    assert_eq!(value("sysctl -p /etc/sysctl.d/10-a.conf"), "8192");
    assert_eq!(value("sysctl -p"), "4096");
    let other = with("sysctl -p /etc/sysctl.d/50-other.conf");
    must_tell(&other, "50-other.conf", "error", "is not among those of this data");
}

#[test]
fn each_of_many_settings_has_its_line() {
    let setting = "      net.core.somaxconn = 4096\n";
    let text = WORKER.replace(
        setting,
        &format!("{}      net.ipv4.ip_forward = 0\n", setting.repeat(5000)),
    );
    let told = told(&text);
    let place = format!("user-data:{}:", line(&text, "net.ipv4.ip_forward = 0"));
    assert!(told.contains(&place), "{told}");
}
