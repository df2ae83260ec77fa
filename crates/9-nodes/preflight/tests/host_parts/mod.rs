//! Parts of inventories, with as little in them as a rule looks at.

use basalt_inventory::{
    HostAccount, HostCertificate, HostCniNetwork, HostDevice, HostFilesystem, HostFlag, HostInterface, HostInventory,
    HostMirror, HostModule, HostProxy, HostRegistry, HostRuntimeHandler, HostSettingsFile, HostStaticPod, HostSysctl,
    HostUnit, SettingsTopic,
};

pub fn device(bus: &str, class: &str, id: &str, driver: &str) -> HostDevice {
    HostDevice {
        bus: bus.to_owned(),
        class: Some(class.to_owned()),
        id: Some(id.to_owned()),
        driver: driver.to_owned(),
        module: Some(driver.to_owned()),
        number: 1,
    }
}

pub fn sysctl(key: &str, value: &str) -> HostSysctl {
    HostSysctl {
        key: key.to_owned(),
        configured: Some(value.to_owned()),
        file: Some("/etc/sysctl.d/a.conf".to_owned()),
        ..HostSysctl::default()
    }
}

pub fn filesystem(kind: &str, target: &str) -> HostFilesystem {
    HostFilesystem {
        target: target.to_owned(),
        kind: kind.to_owned(),
        source: "x".to_owned(),
        ..HostFilesystem::default()
    }
}

pub fn flag(name: &str, value: &str) -> HostFlag {
    HostFlag {
        name: name.to_owned(),
        value: value.to_owned(),
        file: "/etc/default/kubelet".to_owned(),
    }
}

pub fn interface(name: &str) -> HostInterface {
    HostInterface {
        name: name.to_owned(),
        is_configured: true,
        ..HostInterface::default()
    }
}

pub fn registry(host: &str) -> HostRegistry {
    HostRegistry {
        host: host.to_owned(),
        file: "/etc/containerd/certs.d/x/hosts.toml".to_owned(),
        ..HostRegistry::default()
    }
}

pub fn mirror(url: &str) -> HostMirror {
    HostMirror {
        url: url.to_owned(),
        ..HostMirror::default()
    }
}

pub fn settings(topic: SettingsTopic, file: &str) -> HostSettingsFile {
    HostSettingsFile {
        topic,
        file: file.to_owned(),
    }
}

pub fn module(name: &str, taint: &str, options: &[&str]) -> HostModule {
    HostModule {
        name: name.to_owned(),
        is_loaded: true,
        taint: taint.to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..HostModule::default()
    }
}

pub fn packages(host: &mut HostInventory, names: &[&str]) {
    let packages = names.iter().map(|name| ((*name).to_owned(), "1".to_owned()));
    host.packages.manual = packages.collect();
}

pub fn proxy(file: &str, variable: &str, value: &str) -> HostProxy {
    HostProxy {
        file: file.to_owned(),
        variable: variable.to_owned(),
        value: value.to_owned(),
        has_credentials: false,
    }
}

pub fn handler(name: &str) -> HostRuntimeHandler {
    HostRuntimeHandler {
        name: name.to_owned(),
        ..HostRuntimeHandler::default()
    }
}

pub fn static_pod(name: &str) -> HostStaticPod {
    HostStaticPod {
        file: format!("/etc/kubernetes/manifests/{name}.yaml"),
        name: name.to_owned(),
        ..HostStaticPod::default()
    }
}

pub fn network(file: &str, plugin: &str) -> HostCniNetwork {
    HostCniNetwork {
        file: file.to_owned(),
        name: None,
        plugins: vec![plugin.to_owned()],
    }
}

pub fn unit(name: &str, is_own: bool, settings: &[&str]) -> HostUnit {
    HostUnit {
        name: name.to_owned(),
        is_own,
        settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
        ..HostUnit::default()
    }
}

pub fn account(name: &str, uid: u64, ssh_keys: Option<usize>) -> HostAccount {
    HostAccount {
        name: name.to_owned(),
        uid,
        ssh_keys,
    }
}

pub fn certificate(file: &str) -> HostCertificate {
    HostCertificate {
        file: file.to_owned(),
        subject: "CN=x".to_owned(),
        ..HostCertificate::default()
    }
}

pub fn profiles(host: &mut HostInventory, name: &str) {
    host.confinement
        .profiles
        .insert("/etc/apparmor.d/a".to_owned(), vec![name.to_owned()]);
}
