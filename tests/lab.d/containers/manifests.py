"""Kubernetes manifests: whether they keep to their schemas and fit together, and what a mytls in them would find.

usage: manifests.py CRDS CERTIFICATES OUT FILE...

CRDS is a folder with the definitions of custom resources, CERTIFICATES one that `mytls certs new` made. For each container
of mytls in FILE, OUT/FILE/ gets its volumes with what kubelet would put there, and OUT/FILE/run the options for `docker run`.
Prints a line for each check.
"""

import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = "1.37"
MYTLS_USER = 65532


def custom_resource_schemas(folder):
    """Kind and version to schema; what a definition does not name is wrong, as with `kubectl apply --validate=strict`."""
    schemas = {}
    for path in folder.glob("*.yaml"):
        for crd in documents(path):
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                schema["properties"]["metadata"] = {"type": "object"}
                schemas[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = strict(schema)
    return schemas


def strict(schema):
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if "(?i)" in str(schema.get("pattern")):  # Go allows it everywhere, Python at the start
        made["pattern"] = "(?i)" + schema["pattern"].replace("(?i)", "")
    if isinstance(schema.get("properties"), dict):
        made["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made.setdefault("additionalProperties", False)
    return made


def documents(path):
    with open(path, encoding="utf-8") as file:
        return [document for document in yaml.safe_load_all(file) if document]


def keeps_to_schema(document, schemas):
    of = document["apiVersion"], document["kind"]
    if of in schemas:
        jsonschema.Draft202012Validator(schemas[of]).validate(document)
    else:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def pods(all_documents):
    """Of each workload: its name, the labels of its pods, their specification."""
    for document in all_documents:
        template = document.get("spec", {}).get("template")
        if template:
            labels = template["metadata"]["labels"]
            assert covers(document["spec"]["selector"]["matchLabels"], labels), "the workload does not select its own pods"
            yield document["metadata"]["name"], labels, template["spec"]


def covers(selector, labels):
    return selector.items() <= labels.items()


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def fits_together(all_documents):
    """Selectors find pods, ports by name exist, volumes that are mounted are there."""
    found = list(pods(all_documents))
    for document in all_documents:
        kind, spec, name = document["kind"], document.get("spec", {}), document["metadata"]["name"]
        selector = {
            "Service": lambda: spec["selector"],
            "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
        }.get(kind)
        if not selector:
            continue
        chosen = [pod for _, labels, pod in found if covers(selector(), labels)]
        assert chosen, f"{kind} {name} selects no pod"
        names = {port["name"] for pod in chosen for each in containers(pod) for port in each.get("ports", [])}
        for port in spec.get("ports", []):
            assert port["targetPort"] in names, f"{kind} {name}: no port is called {port['targetPort']}"
        for rule in spec.get("ingress", []):
            for port in rule["ports"]:
                assert port["port"] in names, f"{kind} {name}: no port is called {port['port']}"
        if kind == "Service":
            assert all(isinstance(port["targetPort"], str) for port in spec["ports"]), f"{name}: a port by number"
    config_maps = {document["metadata"]["name"] for document in all_documents if document["kind"] == "ConfigMap"}
    monitored = [document["spec"]["selector"]["matchLabels"] for document in all_documents if document["kind"] == "ServiceMonitor"]
    for selector in monitored:
        services = [document for document in all_documents if document["kind"] == "Service"]
        assert any(covers(selector, each["metadata"]["labels"]) for each in services), "the ServiceMonitor finds no Service"
    for name, _, pod in found:
        volumes = {volume["name"] for volume in pod["volumes"]}
        for volume in pod["volumes"]:
            assert "configMap" not in volume or volume["configMap"]["name"] in config_maps, f"{name}: no such ConfigMap"
        for container in containers(pod):
            ports = {port["name"] for port in container.get("ports", [])}
            for mount in container["volumeMounts"]:
                # a StatefulSet's claims are no volumes of its pod
                assert mount["name"] in volumes | {"data"}, f"{name}: no volume is called {mount['name']}"
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                assert port is None or port in ports, f"{name}: {probe} asks {port}"


def is_restricted(pod, container):
    """Kubernetes' own profile `restricted`, and a root that cannot be written to."""
    ours, theirs = container["securityContext"], pod["securityContext"]
    assert theirs["runAsNonRoot"] and theirs["seccompProfile"] == {"type": "RuntimeDefault"}
    assert ours["allowPrivilegeEscalation"] is False and ours["capabilities"] == {"drop": ["ALL"]}
    assert ours["readOnlyRootFilesystem"] is True
    assert ours.get("runAsUser", theirs.get("runAsUser")) == MYTLS_USER
    assert pod["automountServiceAccountToken"] is False


def has_time_to_drain(pod, config):
    drain = config.get("drain", {})
    seconds = sum(int(drain.get(key, default).removesuffix("s")) for key, default in (("min", "0s"), ("max", "30s")))
    assert pod["terminationGracePeriodSeconds"] > seconds, f"the pod is killed before a drain of {seconds} s ends"


def options(pod, container, all_documents, certificates, out):
    """What kubelet would mount, as options of `docker run`. Volumes without files are in memory."""
    usages = {
        document["spec"]["secretName"]: document["spec"]["usages"]
        for document in all_documents
        if document["kind"] == "Certificate"
    }
    config_maps = {document["metadata"]["name"]: document["data"] for document in all_documents if document["kind"] == "ConfigMap"}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    made = [f"--user={MYTLS_USER}:{MYTLS_USER}", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    for mount in container["volumeMounts"]:
        volume, folder = volumes[mount["name"]], out / mount["name"]
        if "configMap" in volume:
            put(folder, config_maps[volume["configMap"]["name"]])
        elif "secret" in volume:
            is_client = "client auth" in usages.get(volume["secret"]["secretName"], [f"{mount['name']} auth"])
            whose = "client" if is_client else "server"
            put(folder, {
                "ca.crt": (certificates / "ca.pem").read_text(),
                "tls.crt": (certificates / f"{whose}-cert.pem").read_text(),
                "tls.key": (certificates / f"{whose}-key.pem").read_text(),
            })
        else:
            made.append(f"--tmpfs={mount['mountPath']}")
            continue
        made.append(f"--volume={folder}:{mount['mountPath']}:ro")
    return made


def put(folder, files):
    """As kubelet does: the files in a folder of their own, which `..data` leads to; their names are links through it."""
    first = folder / "..first"
    first.mkdir(parents=True)
    (folder / "..data").symlink_to("..first")
    for name, text in files.items():
        (first / name).write_text(text)
        (first / name).chmod(0o444)  # the keys protect nothing
        (folder / name).symlink_to(f"..data/{name}")


def main():
    crds, certificates, out = (pathlib.Path(argument) for argument in sys.argv[1:4])
    schemas = custom_resource_schemas(crds)

    def check(name, function, *arguments):
        try:
            function(*arguments)
            print(f"ok {name}")
        except Exception as error:  # noqa: BLE001: a failed check, whatever it is
            reason = " ".join(str(error).split())[:300]
            print(f"FAIL {name} -> {type(error).__name__} {reason}")

    for path in map(pathlib.Path, sys.argv[4:]):
        all_documents = documents(path)
        for document in all_documents:
            check(f"{path.name}: {document['kind']} {document['metadata']['name']}", keeps_to_schema, document, schemas)
        check(f"{path.name} fits together", fits_together, all_documents)
        for name, _, pod in pods(all_documents):
            container = next(each for each in containers(pod) if each["name"] == "mytls")
            folder = out / path.stem
            folder.mkdir(parents=True)
            (folder / "run").write_text("\n".join(options(pod, container, all_documents, certificates, folder)) + "\n")
            config = yaml.safe_load((next(folder.glob("*/mytls.yaml"))).read_text())
            check(f"{path.name}: {name} is restricted", is_restricted, pod, container)
            check(f"{path.name}: {name} has time to drain", has_time_to_drain, pod, config)


main()
