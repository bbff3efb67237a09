import json

import pytest

pytestmark = pytest.mark.control_plane

USER = "system:serviceaccount:fhir-app-operator:fhir-app-operator"
GROUPS = ["system:serviceaccounts", "system:authenticated"]

NAMED = {
    ("fhirapps.dev", "fhirappregistrations"): {"get", "list", "watch", "patch"},
    ("fhirapps.dev", "fhirappregistrations/status"): {"patch"},
    ("fhirapps.dev", "entratenants"): {"get", "list", "watch", "patch"},
    ("fhirapps.dev", "entratenants/status"): {"patch"},
    ("", "namespaces"): {"get", "list", "watch"},
    ("", "secrets"): {"get", "create", "patch"},
    ("events.k8s.io", "events"): {"create", "patch"},
}
LEASES = ("coordination.k8s.io", "leases")
NOT_NAMED = [
    ("fhirapps.dev", "fhirappregistrations/finalizers"),
    ("", "namespaces/status"),
    ("", "configmaps"),
    ("", "events"),
    ("", "nodes"),
    ("", "pods"),
    ("", "pods/exec"),
    ("", "serviceaccounts"),
    ("", "serviceaccounts/token"),
    ("", "users"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("apps", "deployments"),
    LEASES,
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
]
VERBS = [
    *["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"],
    *["impersonate", "bind", "escalate", "*"],
]
ONE_LINE_EACH = r'{.spec.resourceAttributes}{"\t"}{.status.allowed}{"\n"}'


@pytest.fixture
def allowed(control_plane):
    """The verbs that the operator's ServiceAccount has, by resource.

    In every namespace and for every name, unless `namespace` and `name` say where.
    """

    def review(group: str, resource: str, verb: str, where: dict) -> dict:
        name, _, subresource = resource.partition("/")
        attributes = {"group": group, "resource": name, "subresource": subresource, "verb": verb}
        attributes |= where
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": USER, "groups": GROUPS, "resourceAttributes": attributes},
        }

    def answers(*only: tuple[str, str], **where: str) -> dict[tuple[str, str], set[str]]:
        resources = only or [*NAMED, *NOT_NAMED]
        questions = [review(*resource, verb, where) for resource in resources for verb in VERBS]
        document = {"apiVersion": "v1", "kind": "List", "items": questions}
        created = control_plane.kubectl(
            "create",
            "--filename=-",
            f"--output=jsonpath={ONE_LINE_EACH}",
            stdin=json.dumps(document),
        )
        found: dict[tuple[str, str], set[str]] = {resource: set() for resource in resources}
        for line in created.stdout.splitlines():
            attributes, is_allowed = line.split("\t")
            wanted = json.loads(attributes)
            parts = [wanted["resource"], wanted.get("subresource", "")]
            resource = (wanted.get("group", ""), "/".join(part for part in parts if part))
            if is_allowed == "true":
                found[resource].add(wanted["verb"])
        return found

    return answers


def test_the_operator_may_do_what_it_needs_and_nothing_else(apply, allowed):
    apply("deploy")
    assert allowed() == NAMED | {resource: set() for resource in NOT_NAMED}


def test_the_operator_may_read_who_signs_service_account_tokens_and_no_other_path(
    apply, control_plane
):
    apply("deploy")
    paths = ["/.well-known/openid-configuration", "/openid/v1/jwks", "/metrics", "/logs/"]
    found = {}
    for path in paths:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            # Without groups: the default binding for all ServiceAccounts does not count.
            "spec": {"user": USER, "nonResourceAttributes": {"path": path, "verb": "get"}},
        }
        answer = control_plane.kubectl(
            "create", "--filename=-", "--output=jsonpath={.status.allowed}",
            stdin=json.dumps(review),
        )  # fmt: skip
        found[path] = answer.stdout == "true"
    assert found == dict(zip(paths, [True, True, False, False], strict=True))


def test_watching_secrets_adds_just_two_verbs(apply, allowed):
    apply("deploy/watch-secrets")
    more = {("", "secrets"): {"get", "create", "patch", "list", "watch"}}
    assert allowed() == NAMED | {resource: set() for resource in NOT_NAMED} | more


def test_config_maps_are_asked_for_by_themselves(apply, allowed, control_plane):
    apply("deploy")
    apply("deploy/config-maps")
    try:
        more = {("", "configmaps"): {"get", "create", "patch", "delete"}}
        assert allowed() == NAMED | {resource: set() for resource in NOT_NAMED} | more
    finally:
        control_plane.kubectl("delete", "--kustomize=deploy/config-maps")


def test_a_service_binding_controller_may_read_registrations_by_aggregation(apply, control_plane):
    apply("deploy")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "some-binding-controller"},
        "aggregationRule": {
            "clusterRoleSelectors": [{"matchLabels": {"servicebinding.io/controller": "true"}}]
        },
    }
    control_plane.kubectl("apply", "--server-side", "-f=-", stdin=json.dumps(role))
    control_plane.kubectl(
        "wait",
        "--for=jsonpath={.rules[0].apiGroups[0]}=fhirapps.dev",
        "--timeout=60s",
        f"clusterrole/{role['metadata']['name']}",
    )
    shown = control_plane.kubectl("get", "clusterrole", role["metadata"]["name"], "-o=json").stdout
    (rule,) = json.loads(shown)["rules"]
    assert (rule["resources"], rule["verbs"]) == (
        ["fhirappregistrations"],
        ["get", "list", "watch"],
    )


def test_it_may_take_its_own_lease_in_its_own_namespace_and_no_other(apply, allowed):
    apply("deploy")
    home = {"namespace": "fhir-app-operator"}
    own, other = {"name": "fhir-app-operator"}, {"name": "another"}
    assert allowed(LEASES, **home) == {LEASES: {"create"}}
    assert allowed(LEASES, **home, **own) == {LEASES: {"create", "get", "update"}}
    assert allowed(LEASES, **home, **other) == {LEASES: {"create"}}
    assert allowed(LEASES, namespace="kube-system", **own) == {LEASES: set()}
