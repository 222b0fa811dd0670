//! `/api/v1/audit`: who did what, and who was refused.

use std::{io, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use landfall_clock::Timestamp;
use landfall_identity::{Action, AuditEntry, AuditFilter, AuditOutcome, Resource};
use landfall_ids::{AuditId, PrincipalId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    caller::Call,
    paging::{Listing, Paging, Parameters},
    problem::Problem,
};
use crate::{Server, auth::Lasting, registry_api::chain};

/// What the names of the policies begin with that every account has.
const BUILT_IN: &str = "built-in/";
/// Rows that an export reads at once.
const STEP: usize = 500;

/// A row of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditBody {
    /// Its identity.
    #[schema(value_type = String)]
    id: AuditId,
    /// When it happened, in RFC 3339.
    time: String,
    /// Who did it; absent if they did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<AuditPrincipalBody>,
    /// The address that they called from.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// By what they were known.
    credential: AuditCredentialBody,
    /// The request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// What they wanted to do.
    action: String,
    /// What they wanted to do it to.
    resource: AuditResourceBody,
    /// `allowed` or `refused`.
    outcome: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The policies that decided.
    policies: Vec<String>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// How many times it happened: more than once for refused log-ins that are
    /// counted together.
    times: u64,
}

/// Somebody, as they were then.
#[derive(Debug, Serialize, ToSchema)]
struct AuditPrincipalBody {
    /// Their identity.
    #[schema(value_type = String)]
    id: PrincipalId,
    /// The name that they logged in by.
    name: String,
    /// The name of their account.
    account: String,
}

/// What somebody has sent to prove who they are.
#[derive(Debug, Serialize, ToSchema)]
struct AuditCredentialBody {
    /// `none`, `password`, `api-key`, `authorization-token` or `bearer-token`.
    kind: &'static str,
    /// Which key or token it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// What something was done to.
#[derive(Debug, Serialize, ToSchema)]
struct AuditResourceBody {
    /// What kind of thing it is.
    kind: String,
    /// Its identity, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Its name.
    name: String,
    /// The name of the account that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

impl From<AuditEntry> for AuditBody {
    fn from(entry: AuditEntry) -> Self {
        let principal = entry.principal.map(|principal| AuditPrincipalBody {
            id: principal.id,
            name: login_name(&principal.account_name, &principal.name),
            account: principal.account_name,
        });
        let (outcome, reason) = match entry.outcome {
            AuditOutcome::Allowed => ("allowed", None),
            AuditOutcome::Refused { reason } => ("refused", Some(reason)),
        };
        Self {
            id: entry.id,
            time: entry.at.to_string(),
            principal,
            source: entry.source.map(|source| source.to_string()),
            credential: AuditCredentialBody {
                kind: entry.credential.as_str(),
                id: entry.credential_id,
            },
            request_id: entry.request,
            action: entry.action,
            resource: AuditResourceBody {
                kind: entry.resource.kind.into_owned(),
                id: entry.resource.id,
                name: entry.resource.name,
                account: entry.resource.account,
            },
            outcome,
            reason,
            policies: entry.policies,
            detail: entry.detail,
            times: entry.times,
        }
    }
}

/// Who reads the log, and what they may see of others.
#[derive(Debug, Clone)]
enum Reader {
    /// Who operates the registry sees all.
    Operator,
    /// Of other accounts, whoever reads for this one sees neither the names of
    /// policies nor which credential it was.
    Account(String),
}

impl Reader {
    /// The caller, who may read the log of this account, or of all.
    async fn of(call: &Call, account: Option<&str>) -> Result<Self, Problem> {
        let Some(account) = account else {
            return Ok(Self::Operator);
        };
        let operates = call.may(Action::Administer, Resource::Registry).await?;
        Ok(if operates {
            Self::Operator
        } else {
            Self::Account(account.to_owned())
        })
    }

    fn shown(&self, entry: AuditEntry) -> AuditBody {
        let mut body = AuditBody::from(entry);
        if let Self::Account(account) = self {
            let own = format!("{account}/");
            body.policies
                .retain(|name| name.starts_with(&own) || name.starts_with(BUILT_IN));
            let principal = body.principal.as_ref();
            if principal.is_some_and(|principal| principal.account != *account) {
                body.credential.id = None;
            }
        }
        body
    }
}

fn login_name(account: &str, name: &str) -> String {
    if account == landfall_identity::OPERATOR_ACCOUNT {
        name.to_owned()
    } else {
        format!("{account}/{name}")
    }
}

/// Which page is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Cursor {
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    last: Option<AuditId>,
    /// Entries of the page, 1 to 1000; 100 if it is not said.
    limit: Option<usize>,
}

/// What narrows a listing or an export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The name of an account: what its principals did, and what was done to
    /// what belongs to it. Only an operator may leave it out.
    account: Option<String>,
    /// The name of a principal: what it did.
    principal: Option<String>,
    /// An action, such as `push`.
    action: Option<String>,
    /// The name of what it was done to.
    resource: Option<String>,
    /// `allowed` or `refused`.
    outcome: Option<String>,
    /// From this time on, in RFC 3339.
    since: Option<String>,
    /// Before this time, in RFC 3339.
    until: Option<String>,
}

impl Which {
    /// What is asked for, of a caller who may read it.
    async fn allowed(self, call: &Call) -> Result<AuditFilter, Problem> {
        match &self.account {
            Some(account) => call.allow_account(Action::ReadAudit, account).await?,
            None => call.allow_operation().await?,
        }
        let allowed = match self.outcome.as_deref() {
            None => None,
            Some("allowed") => Some(true),
            Some("refused") => Some(false),
            Some(word) => {
                let detail = format!("`{word}` is none of `allowed` and `refused`");
                return Err(Problem::invalid(&detail));
            }
        };
        let principal = self.principal.as_deref().map(|name| call.principal(name));
        Ok(AuditFilter {
            account: self.account,
            principal: principal.transpose()?,
            action: self.action,
            resource_kind: None,
            resource_name: self.resource,
            allowed,
            since: self.since.as_deref().map(time).transpose()?,
            until: self.until.as_deref().map(time).transpose()?,
        })
    }
}

fn time(text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| {
        let detail = format!("`{text}` is no time such as `2026-11-24T14:30:00Z`");
        Problem::invalid(&detail)
    })
}

/// Lists what happened, the newest first.
#[utoipa::path(get, path = "/audit", operation_id = "audit_list",
    tag = "audit", params(Which, Cursor),
    responses((status = 200, body = Listing<AuditBody>),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn list(
    call: Call,
    Parameters(which): Parameters<Which>,
    Parameters(cursor): Parameters<Cursor>,
) -> Result<Json<Listing<AuditBody>>, Problem> {
    let filter = which.allowed(&call).await?;
    let reader = Reader::of(&call, filter.account.as_deref()).await?;
    let limit = Paging::of(None, cursor.limit).limit();
    let identity = &call.server.identity;
    let page = identity.audit_list(&filter, cursor.last, limit).await?;
    let last = page.entries.last().filter(|_| page.more);
    let next = last.map(|entry| entry.id.to_string());
    let rows = page.entries.into_iter().map(|entry| reader.shown(entry));
    Ok(Json(Listing::part(rows.collect(), next)))
}

/// Every row that is asked for, the oldest first: one JSON object a line. An
/// answer that breaks off is not whole.
#[utoipa::path(get, path = "/audit:export", operation_id = "audit_export",
    tag = "audit", params(Which),
    responses((status = 200, content_type = "application/jsonl", body = String),
              (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn export(
    call: Call,
    parts: Parts,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Problem> {
    let filter = which.allowed(&call).await?;
    let reader = Reader::of(&call, filter.account.as_deref()).await?;
    let (action, account) = match &filter.account {
        Some(account) => (Action::ReadAudit, Some(account.clone())),
        None => (Action::Administer, None),
    };
    let reading = Reading {
        server: Arc::clone(&call.server),
        right: Lasting::new(Arc::clone(&call.server), parts, action, account),
        reader,
        filter,
        last: None,
    };
    let lines = stream::try_unfold(Some(reading), |reading| async {
        match reading {
            Some(reading) => reading.next().await,
            None => Ok(None),
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/jsonl"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"landfall-audit.jsonl\"",
        ),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// An export under way: a part of the log at a time is in memory.
struct Reading {
    server: Arc<Server>,
    right: Lasting,
    reader: Reader,
    filter: AuditFilter,
    last: Option<AuditId>,
}

impl Reading {
    /// The next lines, and what comes after them.
    async fn next(mut self) -> io::Result<Option<(Bytes, Option<Self>)>> {
        if let Err(rejection) = self.right.still_may().await {
            let reason = rejection.told().message;
            tracing::info!(reason, "an export of the audit log ends");
            return Err(io::Error::other(
                "the right to read the audit log has ended",
            ));
        }
        let identity = &self.server.identity;
        let page = identity.audit_export(&self.filter, self.last, STEP).await;
        let page = page.map_err(|error| {
            tracing::error!(error = %chain(&error), "an export of the audit log broke off");
            io::Error::other("the audit log can't be read")
        })?;
        let Some(last) = page.entries.last() else {
            return Ok(None);
        };
        self.last = Some(last.id);
        let mut lines = Vec::new();
        for entry in page.entries {
            serde_json::to_writer(&mut lines, &self.reader.shown(entry))?;
            lines.push(b'\n');
        }
        Ok(Some((lines.into(), page.more.then_some(self))))
    }
}
