//! The programs of the host that Basalt calls. All others come from the SDK tree.

/// A program of the host, and how to come by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// The name that is looked up in `PATH`.
    pub program: &'static str,
    /// The Debian and Ubuntu package that holds it, where it is one.
    pub package: Option<&'static str>,
    /// Purpose of the program, a verb phrase: `resolves the SDK's packages`.
    pub purpose: &'static str,
}

/// Makes the SDK tree.
pub const MMDEBSTRAP: Tool = Tool {
    program: "mmdebstrap",
    package: Some("mmdebstrap"),
    purpose: "makes the tree of build tools (the SDK)",
};

/// Fetches crates.
pub const CARGO: Tool = Tool {
    program: "cargo",
    package: None,
    purpose: "builds this tool, and fetches the crates that packages need",
};

/// Names the commit of the checkout.
pub const GIT: Tool = Tool {
    program: "git",
    package: Some("git"),
    purpose: "names the commit that results are about",
};

/// Asks which Debian mirror the machine uses, and resolves the SDK's packages.
pub const APT_GET: Tool = Tool {
    program: "apt-get",
    package: Some("apt"),
    purpose: "resolves the SDK's packages",
};

/// Asks how the machine's apt is set up.
pub const APT_CONFIG: Tool = Tool {
    program: "apt-config",
    package: Some("apt"),
    purpose: "tells how this machine reaches its mirror",
};

/// Downloads through the machine's apt configuration.
pub const APT_HELPER: Tool = Tool {
    program: "/usr/lib/apt/apt-helper",
    package: Some("apt"),
    purpose: "downloads from the machine's Debian mirror",
};

/// Maps the sub-ids of an ordinary user, for mmdebstrap.
pub const NEWUIDMAP: Tool = Tool {
    program: "newuidmap",
    package: Some("uidmap"),
    purpose: "lets mmdebstrap work without root",
};

/// The host's Go, only asked how it reaches its proxy.
pub const GO: Tool = Tool {
    program: "go",
    package: None,
    purpose: "tells how this machine reaches its Go proxy",
};

/// Only asked which Python package index the machine uses.
pub const PIP: Tool = Tool {
    program: "pip",
    package: Some("python3-pip"),
    purpose: "tells which Python package index this machine uses",
};

/// Exports images that docker has.
pub const DOCKER: Tool = Tool {
    program: "docker",
    package: None,
    purpose: "exports images that docker has, for `basalt load`",
};

/// Exports images that podman has.
pub const PODMAN: Tool = Tool {
    program: "podman",
    package: Some("podman"),
    purpose: "exports images that podman has, for `basalt load`",
};

/// Exports images that containerd has.
pub const NERDCTL: Tool = Tool {
    program: "nerdctl",
    package: None,
    purpose: "exports images that containerd has, for `basalt load`",
};

/// Exports images that containerd has, where there is no nerdctl.
pub const CTR: Tool = Tool {
    program: "ctr",
    package: Some("containerd"),
    purpose: "exports images that containerd has, for `basalt load`",
};

/// Talks to clusters that are not the local one, which has a kubectl of its own.
pub const KUBECTL: Tool = Tool {
    program: "kubectl",
    package: None,
    purpose: "talks to the API server of a cluster, for `basalt node`",
};

/// Every tool of the table.
pub const ALL: &[Tool] = &[
    MMDEBSTRAP, CARGO, APT_GET, APT_CONFIG, APT_HELPER, NEWUIDMAP, GO, PIP, GIT, DOCKER, PODMAN, NERDCTL, CTR, KUBECTL,
];

/// The tool of that program name, where the table has it.
pub fn find(program: &str) -> Option<Tool> {
    ALL.iter().copied().find(|tool| tool.program == program)
}
