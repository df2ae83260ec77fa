//! Texts that fields of KubeletConfiguration take.

use std::net::IpAddr;

use crate::address::{Cidr, port_number};
use crate::amount::Quantity;
use basalt_document::Finding;

const LABEL: &str = "the kubelet would not start";

/// Holds, or an error with this message and help.
fn unless(good: bool, message: String, help: &str) -> Result<(), Finding> {
    if good {
        return Ok(());
    }
    Err(Finding::error(message, LABEL).with_help(help))
}

/// `ListenAndServeKubeletServer` of `pkg/kubelet/server/server.go` listens at `<nil>` otherwise, and exits.
pub(super) fn ip_address(text: &str) -> Result<(), Finding> {
    let good = text.parse::<IpAddr>().is_ok();
    unless(
        good,
        format!("`{text}` is not an IP address"),
        "write `0.0.0.0` or `::`",
    )
}

/// The network of a node's pods, or one of each family.
pub(super) fn networks(text: &str) -> Result<(), Finding> {
    text.split(',')
        .try_for_each(|network| network.parse::<Cidr>().map(|_| ()))
}

/// `cgroupManager.Validate` in `NewContainerManager` of `pkg/kubelet/cm/container_manager_linux.go` wants a control group
/// that exists.
pub(super) fn cgroup_root(text: &str) -> Result<(), Finding> {
    let message = format!("the image has no control group `{text}` that pods could be put into");
    unless(text == "/", message, "write `/`")
}

/// `initializeModules` of `pkg/kubelet/kubelet.go` makes this folder, and exits when it cannot.
pub(super) fn pod_logs(text: &str) -> Result<(), Finding> {
    let parts = text.strip_prefix("/var/");
    let good = parts.is_some_and(|parts| {
        let normal = |part: &str| !matches!(part, "" | "." | "..");
        parts.split('/').all(normal) && parts.chars().all(|c| c.is_ascii_graphic())
    });
    let message = format!("`{text}` cannot be the folder of the pods' logs");
    unless(good, message, "write a path below `/var` without `..`: `/var/log/pods`")
}

pub(super) fn path(text: &str) -> Result<(), Finding> {
    let good = text.starts_with('/') && !text.chars().any(char::is_control);
    unless(good, format!("`{text}` is not a path"), "begin it with `/`")
}

pub(super) fn path_or_nothing(text: &str) -> Result<(), Finding> {
    if text.is_empty() { Ok(()) } else { path(text) }
}

pub(super) fn url_or_nothing(text: &str) -> Result<(), Finding> {
    let scheme = text.starts_with("http://") || text.starts_with("https://");
    let plain = text.chars().all(|c| c.is_ascii_graphic());
    let good = text.is_empty() || scheme && plain;
    unless(
        good,
        format!("`{text}` is not an HTTP URL"),
        "write `https://pods.example/node`, say",
    )
}

/// `validateEndpoint` of `k8s.io/component-base/tracing/api/v1/config.go`.
pub(super) fn trace_endpoint(text: &str) -> Result<(), Finding> {
    let host = |text: &str| {
        let (host, port) = text.rsplit_once(':').unwrap_or((text, "4317"));
        let of_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let of_address = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let name = !host.is_empty() && host.chars().all(of_name);
        port_number(port).is_some() && (name || bracketed.is_some_and(of_address))
    };
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '%');
    let good = match text.split_once("://") {
        Some(("dns", rest)) => host(rest.strip_prefix('/').unwrap_or(rest)),
        Some(("unix", path)) => path.starts_with('/') && plain(path),
        Some(_) => false,
        None => host(text),
    };
    unless(
        good,
        format!("`{text}` is not a place that traces can be sent to"),
        "write a host and a port, `localhost:4317`, or a socket, `unix:///run/otel.sock`",
    )
}

/// Go's `strconv.ParseBool`.
pub(super) fn go_bool(text: &str) -> Result<(), Finding> {
    let good = [
        "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False",
    ];
    let message = format!("`{text}` is neither true nor false");
    unless(good.contains(&text), message, "write `\"true\"` or `\"false\"`")
}

/// `NewPolicyOptions` of `pkg/kubelet/cm/topologymanager/policy_options.go`.
pub(super) fn numa_nodes(text: &str) -> Result<(), Finding> {
    let good = text.parse::<i32>().is_ok_and(|number| number >= 8);
    unless(
        good,
        format!("`{text}` is not a number from 8 on"),
        "write `\"8\"` or more",
    )
}

/// `parsePercentage` of `pkg/kubelet/cm/helpers_linux.go`.
pub(super) fn percentage(text: &str) -> Result<(), Finding> {
    let number = text.strip_suffix('%').and_then(|number| number.parse::<u8>().ok());
    let message = format!("`{text}` is not a percentage");
    unless(number.is_some_and(|number| number <= 100), message, "write `50%`, say")
}

/// `parseMinimumReclaims` of `pkg/kubelet/eviction/helpers.go`.
pub(super) fn reclaim(text: &str) -> Result<(), Finding> {
    let percentage = text.strip_suffix('%').and_then(|number| number.parse::<f32>().ok());
    let good = match percentage {
        Some(number) => number > 0.0 && number.is_finite(),
        None => text.parse::<Quantity>().is_ok(),
    };
    let message = format!("`{text}` is neither an amount nor a percentage above 0");
    unless(good, message, "write `500Mi` or `5%`")
}

/// `Validate` of `k8s.io/component-base/logs/api/v1/options.go`.
pub(super) fn file_pattern(text: &str) -> Result<(), Finding> {
    let good = !text.is_empty() && !text.contains(['=', ',']);
    let message = format!("`{text}` is not a pattern of source files");
    unless(
        good,
        message,
        "write the name of a file of the kubelet's source without `.go`: `eviction*`",
    )
}

/// `ValidateAllowlistImagesPatterns` of `pkg/kubelet/images/pullmanager/image_pull_policies.go`: an image without a tag,
/// or all images below a path.
pub(super) fn image_pattern(text: &str) -> Result<(), Finding> {
    let good = match text.strip_suffix("/*") {
        Some(path) => !path.is_empty() && !path.contains('*') && path.chars().all(|c| c.is_ascii_graphic()),
        None => is_image(text),
    };
    let message = format!("`{text}` is not a pattern of images");
    unless(
        good,
        message,
        "write `registry.example/app` without a tag, or `registry.example/team/*`",
    )
}

/// Returns `true` for a name of an image without tag and digest, in lower case.
fn is_image(text: &str) -> bool {
    let (first, rest) = text
        .split_once('/')
        .map_or((text, None), |(first, rest)| (first, Some(rest)));
    let host = match (first.split_once(':'), rest) {
        (Some((host, port)), Some(_)) if port_number(port).is_some() => host,
        _ => first,
    };
    let part = |part: &str| {
        let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let inner = |c: char| outer(c) || ".-_".contains(c);
        let runs = ["..", "._", "_.", "-.", ".-", "-_", "_-", "___"];
        part.starts_with(outer)
            && part.ends_with(outer)
            && part.chars().all(inner)
            && !runs.iter().any(|run| part.contains(run))
    };
    text.len() < 200 && part(host) && rest.is_none_or(|rest| rest.split('/').all(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn holds(check: fn(&str) -> Result<(), Finding>, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(check(text).is_ok(), "{text}");
        }
        for text in bad {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places() {
        let bad = [
            "",
            "/",
            "/var",
            "/var/",
            "/var/../pods",
            "var/log",
            "/etc/pods",
            "/var/lög",
        ];
        holds(pod_logs, &["/var/log/pods"], &bad);
        let bad = [
            "",
            "http://collector",
            "a b",
            "collector:port",
            "collector:+4317",
            "unix:socket",
            "::1:4317",
        ];
        let good = [
            "localhost:4317",
            "collector",
            "[::1]:4317",
            "dns:///c:1",
            "unix:///run/otel",
        ];
        holds(trace_endpoint, &good, &bad);
        holds(
            networks,
            &["10.0.0.0/24", "10.0.0.0/24,fd00::/64"],
            &["", "none", "10.0.0.0"],
        );
    }

    #[test]
    fn numbers() {
        holds(percentage, &["0%", "100%"], &["", "50", "101%", "-1%", "half"]);
        holds(
            reclaim,
            &["0", "500Mi", "10%"],
            &["", "0%", "-1", "much", "NaN%", "inf%"],
        );
        holds(numa_nodes, &["8", "16"], &["7", "", "-8", "many"]);
        holds(go_bool, &["true", "F", "1"], &["", "yes", "tRUE"]);
    }

    #[test]
    fn images() {
        let good = [
            "pause",
            "registry.example/app",
            "localhost:5000/a/b",
            "registry.example/*",
            "a__b",
        ];
        let bad = [
            "",
            "*",
            "/*",
            "a*",
            "app:1",
            "app@sha256:ab",
            "App",
            "a/*/b",
            " app",
            "a//b",
            "a b/*",
            "localhost:+5000/a",
        ];
        holds(image_pattern, &good, &bad);
    }
}
