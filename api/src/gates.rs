//! Feature gates: the names that `--feature-gates` takes, and which are on.

use std::collections::BTreeMap;

/// A program that takes feature gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// The controller: 17 gates.
    Controller,
    /// The webhook: 5 gates.
    Webhook,
    /// The CA injector: 2 gates.
    Cainjector,
}

/// How settled a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Off unless asked for.
    Alpha,
    /// On unless refused.
    Beta,
    /// On.
    Ga,
}

macro_rules! gates {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $stage:ident, $components:expr;)+) => {
        /// A feature gate of cert-manager.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Gate {
            $($(#[$doc])* $name,)+
        }

        impl Gate {
            /// Every gate.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The gate's name in `--feature-gates`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// How settled it is.
            #[must_use]
            pub const fn stage(self) -> Stage {
                match self {
                    $(Self::$name => Stage::$stage,)+
                }
            }

            /// The programs that take it.
            #[must_use]
            pub const fn components(self) -> &'static [Component] {
                match self {
                    $(Self::$name => $components,)+
                }
            }
        }
    };
}

use Component::{Cainjector, Controller, Webhook};

gates! {
    /// Requests whose key usages do not follow the spec are refused.
    DisallowInsecureCsrUsageDefinition = "DisallowInsecureCSRUsageDefinition":
        Ga, &[Controller, Webhook];
    /// `spec.additionalOutputFormats`.
    AdditionalCertificateOutputFormats = "AdditionalCertificateOutputFormats":
        Ga, &[Controller, Webhook];
    /// The finalizer of Challenges carries the domain.
    UseDomainQualifiedFinalizer = "UseDomainQualifiedFinalizer": Ga, &[Controller];
    /// Private keys rotate where nothing is said.
    DefaultPrivateKeyRotationPolicyAlways = "DefaultPrivateKeyRotationPolicyAlways":
        Ga, &[Controller];
    /// CertificateRequests are named after Certificate and revision.
    StableCertificateRequestName = "StableCertificateRequestName": Beta, &[Controller];
    /// Only labelled Secrets are cached in full.
    SecretsFilteredCaching = "SecretsFilteredCaching": Beta, &[Controller];
    /// Solver Ingresses match their path exactly.
    AcmeHttp01IngressPathTypeExact = "ACMEHTTP01IngressPathTypeExact": Beta, &[Controller];
    /// Signing requests carry basic constraints.
    UseCertificateRequestBasicConstraints = "UseCertificateRequestBasicConstraints":
        Alpha, &[Controller];
    /// Without effect.
    ValidateCaa = "ValidateCAA": Alpha, &[Controller];
    /// Status is written by server-side apply.
    ServerSideApply = "ServerSideApply": Alpha, &[Controller, Cainjector];
    /// `spec.literalSubject`.
    LiteralCertificateSubject = "LiteralCertificateSubject": Beta, &[Controller, Webhook];
    /// `spec.nameConstraints`.
    NameConstraints = "NameConstraints": Beta, &[Controller, Webhook];
    /// `spec.otherNames`.
    OtherNames = "OtherNames": Beta, &[Controller, Webhook];
    /// The Gateway API.
    ExperimentalGatewayApiSupport = "ExperimentalGatewayAPISupport": Beta, &[Controller];
    /// ListenerSets of the Gateway API.
    ListenerSets = "ListenerSets": Alpha, &[Controller];
    /// Kubernetes CertificateSigningRequests.
    ExperimentalCertificateSigningRequestControllers =
        "ExperimentalCertificateSigningRequestControllers": Alpha, &[Controller];
    /// Renewal times from the CA (RFC 9773).
    AcmeUseAri = "ACMEUseARI": Alpha, &[Controller];
    /// A new CA is added to a bundle before the old one goes.
    CaInjectorMerging = "CAInjectorMerging": Ga, &[Cainjector];
}

/// Which gates are on, for one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureGates {
    component: Component,
    on: BTreeMap<Gate, bool>,
}

/// A `--feature-gates` that cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The program has no such gate.
    #[error("unknown feature gate {0:?}; known are: {1}, AllAlpha and AllBeta")]
    Unknown(String, String),
    /// An entry is not `Name=true` or `Name=false`.
    #[error("{0:?} is no setting of a feature gate: write Name=true or Name=false")]
    Syntax(String),
}

impl FeatureGates {
    /// The defaults of a program: what is beta or settled is on.
    #[must_use]
    pub fn defaults(component: Component) -> Self {
        let own = Gate::ALL.iter().filter(|gate| gate.components().contains(&component));
        Self { component, on: own.map(|gate| (*gate, gate.stage() != Stage::Alpha)).collect() }
    }

    /// The defaults, changed by `Name=true,Name=false,...`; `AllAlpha` and `AllBeta` set what is
    /// not set by name. Later entries win.
    pub fn parse(component: Component, text: &str) -> Result<Self, GateError> {
        let entries: BTreeMap<&str, bool> = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(setting)
            .collect::<Result<_, _>>()?;
        let mut gates = Self::defaults(component);
        gates.set_stage(Stage::Alpha, entries.get("AllAlpha").copied());
        gates.set_stage(Stage::Beta, entries.get("AllBeta").copied());
        for (name, on) in entries {
            gates.set(name, on)?;
        }
        Ok(gates)
    }

    /// Whether a gate is on; one that the program does not have is off.
    #[must_use]
    pub fn enabled(&self, gate: Gate) -> bool {
        self.on.get(&gate).copied().unwrap_or(false)
    }

    /// Every gate of the program, and whether it is on.
    pub fn iter(&self) -> impl Iterator<Item = (Gate, bool)> + '_ {
        self.on.iter().map(|(gate, on)| (*gate, *on))
    }

    fn set_stage(&mut self, stage: Stage, to: Option<bool>) {
        let Some(to) = to else { return };
        self.on.iter_mut().filter(|(gate, _)| gate.stage() == stage).for_each(|(_, on)| *on = to);
    }

    fn set(&mut self, name: &str, to: bool) -> Result<(), GateError> {
        if matches!(name, "AllAlpha" | "AllBeta") {
            return Ok(());
        }
        let own = self.on.iter_mut().find(|(gate, _)| gate.as_str() == name);
        match own {
            Some((_, on)) => *on = to,
            None => return Err(GateError::Unknown(name.into(), self.names())),
        }
        Ok(())
    }

    fn names(&self) -> String {
        self.on.keys().map(|gate| gate.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The program these are for.
    #[must_use]
    pub const fn component(&self) -> Component {
        self.component
    }
}

/// One entry; the value as Go's `strconv.ParseBool` reads it.
fn setting(entry: &str) -> Result<(&str, bool), GateError> {
    let error = || GateError::Syntax(entry.into());
    let (name, value) = entry.split_once('=').ok_or_else(error)?;
    let on = match value.trim() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        _ => return Err(error()),
    };
    Ok((name.trim(), on))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_as_many_gates_as_cert_managers() {
        let count = |component| FeatureGates::defaults(component).iter().count();
        assert_eq!((count(Controller), count(Webhook), count(Cainjector)), (17, 5, 2));
    }

    #[test]
    fn a_name_wins_over_its_stage_whatever_the_order() {
        let gates = FeatureGates::parse(Controller, "ACMEUseARI=false, AllAlpha=true").unwrap();
        assert!(!gates.enabled(Gate::AcmeUseAri));
        assert!(gates.enabled(Gate::ListenerSets));
        let gates = FeatureGates::parse(Controller, "AllBeta=false").unwrap();
        assert!(!gates.enabled(Gate::OtherNames) && !gates.enabled(Gate::AcmeUseAri));
        assert!(gates.enabled(Gate::UseDomainQualifiedFinalizer));
    }

    #[test]
    fn a_gate_of_another_program_is_unknown_so_a_typo_is_seen_at_start() {
        let error = FeatureGates::parse(Webhook, "ACMEUseARI=true").unwrap_err();
        assert!(error.to_string().contains("LiteralCertificateSubject"), "{error}");
        assert!(FeatureGates::parse(Webhook, "OtherNames").is_err());
        assert!(FeatureGates::parse(Webhook, "OtherNames=maybe").is_err());
        assert!(FeatureGates::parse(Webhook, "").is_ok());
    }
}
