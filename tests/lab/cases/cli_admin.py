"""Operator asks and changes a running target through its admin API and the commands, while a host is connected; every answer is what openapi.json says."""

import json
import pathlib
import shlex
import urllib.parse

import jsonschema
from nvmf_lab import TWO, daemon, initiator

TOPOLOGY = TWO
TIME_LIMIT_S = 240

OPENAPI = json.loads((pathlib.Path(__file__).resolve().parents[3] / "target/daemon/openapi.json").read_text())
SUBSYSTEM = "/v1/subsystems/" + urllib.parse.quote(daemon.NQN, safe="")
SUBSYSTEM_PATH = "/v1/subsystems/{nqn}"
EVENTS_S = 3
TIMED_OUT = 124  # timeout(1)


def test(lab):
    config = daemon.config(lab, [{"nsid": 1, "memory": "32MiB"}])
    target = daemon.start(lab, config)
    options = "-i 2 -k 5 --reconnect-delay=1 --ctrl-loss-tmo=600"
    controller = initiator.connect_controller(lab.host, lab.target.address(), daemon.NQN, options=options)
    initiator.wait_for_namespaces(lab.host, controller)

    answers_are_as_described(lab)
    what_people_see(lab)
    namespaces_come_and_go(lab, controller)
    saved_is_what_runs(lab, target)
    the_file_wins(lab, target)
    ports_drain(lab, controller)
    hosts_are_disconnected(lab, target, controller)
    events_tell(lab)
    initiator.disconnect(lab.host, daemon.NQN)


def ask(lab, method, path, body="", described=None):
    """What the API answers, and that openapi.json knows such an answer. `described`: the path as it stands there."""
    said = lab.target.run(
        f"curl -sS -o /tmp/answer -w '%{{http_code}}' --unix-socket {daemon.ADMIN_SOCKET} -X {method} --data-binary {shlex.quote(body)} http://localhost{path}"
    ).stdout
    answer = lab.target.read("/tmp/answer") if said != "204" else ""
    responses = OPENAPI["paths"][(described or path).partition("?")[0]][method.lower()]["responses"]
    lab.check(said in responses, f"{method} {path} answers {said}, which openapi.json does not know: {answer}")
    if said == "204":
        return said, None
    schema = responses[said]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": OPENAPI["components"]}).validate(json.loads(answer))
    return said, json.loads(answer)


def answers_are_as_described(lab):
    for path, methods in OPENAPI["paths"].items():
        if "get" in methods and "text/event-stream" not in methods["get"]["responses"]["200"]["content"]:
            status, _ = ask(lab, "GET", path)
            lab.check(status == "200", f"GET {path} answers {status}")
    _, connections = ask(lab, "GET", "/v1/connections")
    shown = connections["hosts"][0]["controllers"][0]
    lab.check([queue["qid"] for queue in shown["queues"]] == [0, 1, 2], f"the host has an admin queue and two I/O queues: {connections}")
    lab.check(all(queue["path_mtu"] > 0 and queue["rnic"] for queue in shown["queues"]), f"queues without RNIC or path MTU: {connections}")
    for method, path, body, described, wanted in (
        ("PATCH", SUBSYSTEM, "{", SUBSYSTEM_PATH, "400"),
        ("PATCH", SUBSYSTEM, '{"modle": "x"}', SUBSYSTEM_PATH, "422"),
        ("PATCH", SUBSYSTEM, '{"serial": "x"}', SUBSYSTEM_PATH, "409"),
        ("DELETE", "/v1/ports/9", "", "/v1/ports/{id}", "404"),
        ("POST", SUBSYSTEM + "/namespaces", '{"nvme": "/dev/null"}', SUBSYSTEM_PATH + "/namespaces", "409"),
        ("POST", "/v1/diff?name=new", "{}", None, "422"),
        ("POST", "/v1/reload", "", None, "200"),
        ("POST", "/v1/ana", "{}", None, "400"),
        ("POST", "/v1/drain?port=9", "", None, "404"),
        ("POST", "/v1/hosts/nobody/disconnect", "", "/v1/hosts/{hostnqn}/disconnect", "404"),
    ):
        status, answer = ask(lab, method, path, body, described)
        lab.check(status == wanted, f"{method} {path} answers {status}, not {wanted}: {answer}")


def what_people_see(lab):
    for arguments, wanted in (
        ("status", "listening"),
        ("subsystems", daemon.NQN),
        ("namespaces", "32 MiB"),
        ("connections", "nqn.2014-08.org.nvmexpress"),
        ("p2p", daemon.NQN),
        ("stats", daemon.NQN),
        ("ana", daemon.NQN),
        ("diff /results/nvmf-p2p.json", "no difference"),
        ("top --once --interval 0.5", "IOPS"),
    ):
        said = daemon.command(lab, arguments).stdout
        lab.check(wanted in said, f"nvmf-p2p {arguments} does not show {wanted!r}:\n{said}")
    refused = daemon.command(lab, "status --socket /run/none.sock", check=False)
    lab.check(refused.exit_code == 1 and "/run/none.sock" in refused.stderr, f"no daemon there, and it says:\n{refused.stderr}")


def namespaces_come_and_go(lab, controller):
    said = daemon.command(lab, f"add namespace {daemon.NQN} memory=16MiB").stdout
    lab.check(said == f"add namespace 2 of {daemon.NQN}\n", f"what was added is told as:\n{said}")
    initiator.wait_for_namespaces(lab.host, controller, 2)
    daemon.command(lab, f"remove namespace {daemon.NQN} 1")
    lab.host.until(f"[ $(ls -d /sys/class/nvme/{controller}/nvme*n* | wc -l) = 1 ]")
    shown = json.loads(daemon.command(lab, "namespaces --json").stdout)
    lab.check([one["nsid"] for one in shown] == [2], f"the namespace that stays changed its identifier: {shown}")


def saved_is_what_runs(lab, target):
    before = lab.target.read(target.config_path)
    lab.check(len(json.loads(daemon.command(lab, "status --json").stdout)["unsaved_changes"]) == 2, "two changes are not saved yet")
    daemon.command(lab, "save")
    saved = json.loads(lab.target.read(target.config_path))
    lab.check(saved["subsystems"][0]["namespaces"] == [{"memory": "16MiB", "nsid": 2}], f"saved was something else: {saved}")
    lab.check(lab.target.read(target.config_path + "~") == before, "the copy is not what the file held before")
    said = daemon.command(lab, "reload").stdout
    lab.check(said == "no difference\n", f"what was saved is not what runs:\n{said}")


def the_file_wins(lab, target):
    daemon.command(lab, f"add namespace {daemon.NQN} memory=8MiB")
    daemon.command(lab, "log-level warn")
    daemon.command(lab, "log-level debug")
    said = daemon.command(lab, "reload").stdout
    lab.check(f"remove namespace 1 of {daemon.NQN}" in said and "this change was not saved, so the config file replaced it" in said, f"the reload does not say what was lost:\n{said}")
    lab.check("so the config file replaced it" in target.output, "the log does not say what the reload dropped")


def ports_drain(lab, controller):
    daemon.command(lab, "drain 1")
    lab.host.until(f"! grep -qx live /sys/class/nvme/{controller}/state")
    lab.check("drained" in daemon.command(lab, "status").stdout, "status does not say that the port is drained")
    daemon.command(lab, "resume 1")
    lab.host.until(f"grep -qx live /sys/class/nvme/{controller}/state", timeout_s=30)


def events_tell(lab):
    """All that has happened is told again to a client that comes late; it stays connected."""
    said = lab.target.run(f"timeout {EVENTS_S} {daemon.stage(lab)} events --past --json", check=False)
    lab.check(said.exit_code == TIMED_OUT, f"the stream of events ended with {said.exit_code}: {said.stderr}")
    events = [json.loads(line) for line in said.stdout.splitlines()]
    described = {**OPENAPI["components"]["schemas"]["Event"], "components": OPENAPI["components"]}
    for event in events:
        jsonschema.Draft202012Validator(described).validate(event)
    kinds = {event["kind"] for event in events}
    lab.check(kinds >= {"port", "device", "namespace", "connect", "disconnect", "config"}, f"of what happened only {kinds} is told")
    connects = {(event["subsystem"], bool(event["host"])) for event in events if event["kind"] == "connect"}
    lab.check((daemon.NQN, True) in connects, f"no host is told to have connected to {daemon.NQN}: {connects}")


def hosts_are_disconnected(lab, target, controller):
    hostnqn = json.loads(daemon.command(lab, "connections --json").stdout)["hosts"][0]["nqn"]
    daemon.command(lab, f"disconnect {hostnqn}")
    target.wait_until_said(f"the operator disconnects host {hostnqn}")
    lab.host.until(f"grep -qx live /sys/class/nvme/{controller}/state", timeout_s=30)
