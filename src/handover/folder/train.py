#!/usr/bin/env python3
"""Trains a run that Nudge handed over: python train.py --model FOLDER, alone or under torchrun or accelerate launch.

Everything that decides a number is in the files beside this one: the token ids, which documents each step takes, the
denominators of its means, its learning rate, the adapter before step 1. So one process and many, with any micro-batch,
take the same steps. Nothing is downloaded, uploaded or told to anybody; results go to out/ATTEMPT/.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import threading
import time
import warnings
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")

import accelerate
import peft
import torch
import torch.nn.functional as F
import transformers
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
# That the adapter names no model it can look up.
warnings.filterwarnings("ignore", module="peft")


class Refused(Exception):
    """A sentence: what is wrong, and what to do."""


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def lines(name):
    with open(HERE / "data" / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_whole(path, value):
    """A file that is there as a whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with open(aside, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def check_files(manifest, model, trust_weights):
    """The folder and the model are those that were handed over. This file may be edited: its hash goes to env.json."""
    for name, known in manifest["files"].items():
        if name != "train.py" and sha256(HERE / name) != known["sha256"]:
            raise Refused(f"{name} is not the file that was handed over; copy the folder once more")
    for name, known in manifest["model"]["files"].items():
        path = model / name
        if not path.is_file():
            raise Refused(f"{path} is missing; --model names the folder of {manifest['model']['name']}")
        if path.stat().st_size != known["size"]:
            raise Refused(f"{path} has {path.stat().st_size} bytes and not {known['size']}: another model")
        if not (trust_weights and name.endswith(".safetensors")) and sha256(path) != known["sha256"]:
            raise Refused(f"{path} is not the file that the run was made with: another model, or another version of it")


class Told:
    """events.jsonl, a whole line at a time, and status.json, a sign of life. Only rank 0 writes."""

    def __init__(self, folder, attempt, steps):
        self.seq, self.synced, self.folder = 0, 0.0, folder
        self.status = {"attempt": attempt, "step": 0, "steps": steps, "state": "starting"}
        self.file = open(folder / "events.jsonl", "x", encoding="utf-8")
        threading.Thread(target=self.live, daemon=True).start()

    def say(self, **event):
        self.seq += 1
        # What is no number is told as a word.
        line = json.dumps({"seq": self.seq, "attempt": self.status["attempt"], **event})
        self.file.write(line + "\n")
        self.file.flush()
        if time.monotonic() - self.synced > 10:
            os.fsync(self.file.fileno())
            self.synced = time.monotonic()

    def be(self, **status):
        self.status.update(status)
        write_whole(self.folder / "status.json", {**self.status, "at": time.time()})

    def live(self):
        while self.status["state"] in ("starting", "running"):
            self.be()
            time.sleep(15)


class Items(torch.utils.data.Dataset):
    """The documents of all steps in their order, each step filled up to `per_step` with items that weigh nothing."""

    def __init__(self, steps, per_step):
        self.steps, self.per_step = steps, per_step

    def __len__(self):
        return len(self.steps) * self.per_step

    def __getitem__(self, index):
        step, place = self.steps[index // self.per_step], index % self.per_step
        item = step["items"][place] if place < len(step["items"]) else {}
        return {**item, **{key: step[key] for key in ("step", "pairs", "ref_tokens", "pre_tokens")}}


def number(value):
    """As Nudge writes it: JSON has no word for what is not finite."""
    words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return words.get(str(float(value)), float(value))


def preference_loss(objective, margin):
    """The loss of a certain label at this margin, and its weight in MPO is the item's."""
    beta, epsilon = objective["beta"], objective["label_smoothing"]
    if objective["kind"] == "mpo":
        return -torch.sigmoid(beta * margin)
    if objective["kind"] == "ipo":
        return (margin - 1 / (2 * objective["tau"])) ** 2
    agrees, differs = -F.logsigmoid(beta * margin), -F.logsigmoid(-beta * margin)
    if objective["robust"] and epsilon:
        return ((1 - epsilon) * agrees - epsilon * differs) / (1 - 2 * epsilon)
    return (1 - epsilon) * agrees + epsilon * differs


class Run(transformers.Trainer):
    """Transformers' loop with the run's own loss, order and learning rates."""

    # `compute_loss` gives this micro-batch's share of the whole step's loss.
    loss_is_scaled_for_ga = True

    def prepare(self, manifest, docs, steps):
        self.manifest, self.docs, self.objective = manifest, docs, manifest["objective"]
        self.rates, self.anchors, self.met, self.began = [step["lr"] for step in steps], {}, [], time.monotonic()

    def create_optimizer(self, model=None):
        if self.optimizer is None:
            options = self.manifest["optimizer"]
            trained = [value for value in (model or self.model).parameters() if value.requires_grad]
            self.optimizer = torch.optim.AdamW(
                trained, lr=1.0, betas=tuple(options["betas"]), eps=options["eps"], weight_decay=options["weight_decay"]
            )
        return self.optimizer

    def create_scheduler(self, num_training_steps, optimizer=None):
        if self.lr_scheduler is None:
            rates = [*self.rates, 0.0]
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer, lambda step: rates[min(step, len(rates) - 1)]
            )
        return self.lr_scheduler

    def sums(self, model, rows):
        """Σ log π of each answer, f32; a row is (prompt ids, answer ids)."""
        longest = max(len(prompt) + len(answer) for prompt, answer in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for place, (prompt, answer) in enumerate(rows):
            length = len(prompt) + len(answer)
            ids[place, :length] = torch.tensor(prompt + answer)
            mask[place, :length] = 1
        ids, mask = ids.to(self.args.device), mask.to(self.args.device)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        sums = []
        for place, (prompt, answer) in enumerate(rows):
            begin, end = len(prompt), len(prompt) + len(answer)
            scores = logits[place, begin - 1 : end - 1].float().log_softmax(-1)
            sums.append(scores.gather(-1, ids[place, begin:end, None]).sum())
        return torch.stack(sums)

    def rows(self, doc):
        return [(doc["prompt"], answer) for answer in doc["answers"]]

    def margin(self, doc, sums, anchor):
        """m of a pair from the sums of its two answers."""
        kind = self.objective["margin"]
        if kind.startswith("anchored"):
            sums = sums - torch.tensor(anchor, device=sums.device)
        if kind.endswith("mean"):
            sums = sums / torch.tensor([float(len(answer)) for answer in doc["answers"]], device=sums.device)
        return sums[0] - sums[1]

    def cost(self, margin, certainty, weight):
        agrees, differs = preference_loss(self.objective, margin), preference_loss(self.objective, -margin)
        return weight * (certainty * agrees + (1 - certainty) * differs)

    def judge(self, number, doc, sums, anchor, certainty, weight):
        """A pair's loss with its gradient, and what is told of it."""
        margin = self.margin(doc, sums, anchor)
        loss = self.cost(margin, certainty, weight)
        probe = margin.detach().requires_grad_()
        with torch.enable_grad():
            push = torch.autograd.grad(self.cost(probe, certainty, weight), probe)[0].abs()
        told = torch.stack([loss.detach(), margin.detach(), push, *sums.detach()]).tolist()
        return loss, (number, *told, *anchor, certainty)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        items, objective = inputs["items"], self.objective
        rows, owners = [], []
        for item in items:
            for part in ("pair", "ref", "pre"):
                if item.get(part) is not None:
                    doc = self.docs[item[part]]
                    owners.append((part, item, doc, len(rows)))
                    rows += self.rows(doc)
        # An item that only fills the step weighs nothing, but every process makes as many passes as the others.
        sums = self.sums(model, rows or self.rows(next(iter(self.docs.values())))[:1])
        loss = sums.sum() * 0.0
        for part, item, doc, place in owners:
            if part == "pair":
                anchor = self.anchors[f"train {item['pair']}"]
                pair = self.judge(doc["pair"], doc, sums[place : place + 2], anchor, item["c"], item["w"])
                loss = loss + pair[0] / item["pairs"]
                self.met.append(("pair", *pair[1]))
            else:
                weight = objective["reference_weight" if part == "ref" else "retention_weight"]
                mean = -sums[place] / item[f"{part}_tokens"]
                loss = loss + weight * mean
                self.met.append((part, mean.item(), weight * mean.item()))
        self.met.append(("tokens", sum(len(prompt) + len(answer) for prompt, answer in rows)))
        # DDP and FSDP take the mean over processes.
        return loss * self.args.world_size

    @torch.no_grad()
    def all_sums(self, docs):
        """Σ log π of every answer of these documents, by name, the work shared among the processes."""
        model, rank, world = self.model_wrapped, self.args.process_index, self.args.world_size
        was_training = model.training
        model.eval()
        names, found = list(docs), []
        for turn in range(0, len(names), world):
            # Every process passes as often; the last ones may do a document twice.
            name = names[min(turn + rank, len(names) - 1)]
            found.append((name, self.sums(model, self.rows(docs[name])).tolist()))
        model.train(was_training)
        return dict(gather_object(found))

    def measure(self, docs, sums):
        """Metrics of what is held out, under the names that Nudge stores them by."""
        pairs, metrics, loss = [], {}, None
        for name, doc in docs.items():
            if doc["kind"] == "pair":
                own = torch.tensor(sums[name])
                pairs.append(self.judge(doc["pair"], doc, own, self.anchors[name], doc["c"], doc["w"])[1])
        if pairs:
            loss = sum(pair[1] for pair in pairs) / len(pairs)
            metrics["eval_loss/preference"] = loss
            metrics.update({f"eval_{name}": value for name, value in self.of_pairs(pairs).items()})
        for kind, weight in (("reference", "reference_weight"), ("retention", "retention_weight")):
            names = [name for name, doc in docs.items() if doc["kind"] == kind]
            if not names:
                continue
            tokens = sum(len(docs[name]["answers"][0]) for name in names)
            total = sum(sums[name][0] for name in names)
            metrics[f"eval_loss/{kind}"] = -total / tokens
            loss = loss if loss is None else loss - self.objective[weight] * total / tokens
            if kind == "reference":
                metrics["kl/ref"] = (sum(self.anchors[name][0] for name in names) - total) / tokens
        return metrics if loss is None else {"eval_loss": loss, **metrics}

    def of_pairs(self, pairs):
        """Means and shares over pairs as `judge` tells them."""
        beta, count = self.objective["beta"], len(pairs)
        rewards = [(beta * (c - c0), beta * (r - r0)) for _, _, _, _, c, r, c0, r0, _ in pairs]
        mean = lambda values: sum(values) / count
        decided = [c - r for (c, r), pair in zip(rewards, pairs) if pair[-1] != 0.5]
        metrics = {
            "rewards/chosen": mean(c for c, _ in rewards),
            "rewards/rejected": mean(r for _, r in rewards),
            "rewards/margins": mean(c - r for c, r in rewards),
        }
        if any(reward != (0.0, 0.0) for reward in rewards) and decided:
            metrics["rewards/accuracies"] = sum(margin > 0 for margin in decided) / len(decided)
        metrics.update({
            "logps/chosen": mean(pair[4] for pair in pairs),
            "logps/rejected": mean(pair[5] for pair in pairs),
            "push/mean": mean(pair[3] for pair in pairs),
            "logps/chosen_change": mean(pair[4] - pair[6] for pair in pairs),
            "logps/rejected_change": mean(pair[5] - pair[7] for pair in pairs),
        })
        return metrics

    def hand_in(self, folder, step, proof):
        """The adapter of this step, and what it makes of some documents: what Nudge takes back."""
        sums = self.all_sums(proof)
        trained = {}
        for name, value in self.model.named_parameters():
            if value.requires_grad:
                whole = value.full_tensor() if hasattr(value, "full_tensor") else value
                trained[name.replace(".default.", ".")] = whole.detach().float().cpu().contiguous()
        if self.args.process_index == 0:
            (folder / "adapter").mkdir(parents=True, exist_ok=True)
            save_file(trained, folder / "adapter" / "adapter_model.safetensors", metadata={"format": "pt"})
            shutil.copy(HERE / "adapter" / "adapter_config.json", folder / "adapter")
            write_whole(folder / "proof.json", {
                "nonce": self.manifest["nonce"], "step": step, "sums": sums,
                "adapter_sha256": sha256(folder / "adapter" / "adapter_model.safetensors"),
            })


class Steps(transformers.TrainerCallback):
    """What happens between steps."""

    def __init__(self, run, told, out, held_out, proof):
        self.run, self.told, self.out, self.held_out, self.proof = run, told, out, held_out, proof

    def on_train_begin(self, args, state, control, **_):
        run, known = self.run, self.out / "anchors.json"
        if state.global_step > 0:
            if not known.is_file():
                raise Refused(f"{known} is gone: put it back, or begin anew from a copy of the folder without out/")
            run.anchors = json.loads(known.read_text())
        else:
            docs = {f"train {d}": doc for d, doc in run.docs.items()} | self.held_out
            run.anchors = run.all_sums(docs)
            self.compare(docs)
            if args.process_index == 0:
                write_whole(known, run.anchors)
        if self.told:
            self.told.be(state="running", step=state.global_step)
            self.told.say(event="started", step=state.global_step, steps=len(run.rates), nonce=run.manifest["nonce"])
        if state.global_step == 0:
            self.evaluate(0)
        run.began = self.since = time.monotonic()

    def compare(self, docs):
        """Weights, ids and arithmetic are those of the run."""
        tolerance = self.run.manifest["tolerance"]
        for name, doc in docs.items():
            for answer, there, here in zip(doc["answers"], doc["anchor"], self.run.anchors[name]):
                allowed = tolerance["per_answer"] + tolerance["per_token"] * len(answer)
                if not abs(here - there) <= allowed:
                    raise Refused(
                        f"document {name} has the log-prob {here:.4f} here and had {there:.4f} at home: "
                        "other weights or dtype"
                    )

    def evaluate(self, step):
        sums = self.run.all_sums(self.held_out) if self.held_out else {}
        if self.told and self.held_out:
            metrics = self.run.measure(self.held_out, sums)
            self.told.say(step=step, metrics={name: number(value) for name, value in metrics.items()})

    def on_log(self, args, state, control, logs=None, **_):
        if "grad_norm" not in logs:
            return
        run, step = self.run, state.global_step
        met, run.met = gather_object(run.met), []
        pairs = [one[1:] for one in met if one[0] == "pair"]
        tokens = sum(one[1] for one in met if one[0] == "tokens")
        preference = sum(pair[1] for pair in pairs) / max(len(pairs), 1)
        loss = preference + sum(one[2] for one in met if one[0] in ("ref", "pre"))
        metrics = {"loss": loss, "loss/preference": preference}
        for part, name in (("ref", "loss/reference"), ("pre", "loss/retention")):
            values = [one[1] for one in met if one[0] == part]
            metrics.update({name: sum(values)} if values else {})
        now = time.monotonic()
        metrics |= run.of_pairs(pairs) | {
            "grad_norm": logs["grad_norm"], "learning_rate": run.rates[step - 1], "pairs": len(pairs), "tokens": tokens,
            "tokens_per_sec": tokens / max(now - run.began, 1e-9),
        }
        if self.told:
            self.told.say(
                step=step, metrics={name: number(value) for name, value in metrics.items()},
                ms=round(1000 * (now - self.since)),
                pairs=[[pair[0], number(pair[2]), number(pair[3])] for pair in pairs],
            )
            self.told.be(step=step)
        if not (abs(loss) < float("inf") and abs(logs["grad_norm"]) < float("inf")):
            raise Refused(f"step {step} gave the loss {loss} and the gradient norm {logs['grad_norm']}: no numbers")
        every = run.manifest["eval_every"]
        if step == len(run.rates) or (every and step % every == 0):
            self.evaluate(step)
        run.began = time.monotonic()

    def on_save(self, args, state, control, **_):
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self.run.hand_in(folder / "nudge", state.global_step, self.proof)
        if args.process_index == 0:
            write_whole(folder / "whole.json", {"step": state.global_step})
            self.told.say(event="saved", step=state.global_step)


def newest_checkpoint(out):
    """Of all attempts, the last one that was written to its end."""
    whole = [(json.loads(mark.read_text())["step"], mark.parent) for mark in out.glob("*/checkpoint-*/whole.json")]
    return str(max(whole)[1]) if whole else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="the model's folder on this machine")
    parser.add_argument("--micro", type=int, default=1, help="items a process takes at once (memory)")
    parser.add_argument("--recompute", action="store_true", help="forward twice, keep less (memory; changes no number)")
    parser.add_argument("--trust-weights", action="store_true", help="hash no weights; the log-probs tell too")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="a folder that all processes see")
    options = parser.parse_args()

    here = PartialState(cpu=not torch.cuda.is_available())
    try:
        manifest = json.loads((HERE / "manifest.json").read_text())
    except ValueError as error:
        raise Refused(f"manifest.json is not whole ({error}); copy the folder once more") from error
    attempt, told = [0], None
    if here.is_main_process:
        check_files(manifest, options.model, options.trust_weights)
        options.out.mkdir(parents=True, exist_ok=True)
        attempt[0] = 1 + max((int(old.name) for old in options.out.iterdir() if old.name.isdigit()), default=0)
        (options.out / str(attempt[0])).mkdir()
    folder = options.out / str(broadcast_object_list(attempt)[0])
    # The main process has seen that they are whole.
    docs, steps = {doc["d"]: doc for doc in lines("docs.jsonl")}, lines("steps.jsonl")
    held_out = {f"eval {doc['d']}": doc for doc in lines("eval.jsonl")}
    proof = {str(doc["d"]): doc for doc in lines("proof.jsonl")}
    if here.is_main_process:
        told = Told(folder, attempt[0], len(steps))
        write_whole(folder / "env.json", {
            "python": sys.version, "torch": torch.__version__, "transformers": transformers.__version__,
            "peft": peft.__version__, "accelerate": accelerate.__version__, "processes": here.num_processes,
            "cards": [torch.cuda.get_device_name(card) for card in range(torch.cuda.device_count())],
            "train.py": sha256(HERE / "train.py"),
        })
    try:
        train(options, manifest, (docs, steps, held_out, proof), here, folder, told)
    except BaseException as error:
        if told:
            told.say(event="failed", error=str(error) or type(error).__name__)
            told.be(state="failed", error=str(error))
        raise
    if told:
        told.say(event="ended", step=len(steps))
        told.be(state="ended", step=len(steps))
    # Whoever leaves while another still speaks to it is ended by an abort, as is now and then a Python that takes down
    # gloo's threads; all that is kept is on the disk.
    here.wait_for_everyone()
    if here.num_processes > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def train(options, manifest, data, here, folder, told):
    docs, steps, held_out, proof = data
    at_once = here.num_processes * options.micro
    most = max(len(step["items"]) for step in steps)
    per_step = -(-most // at_once) * at_once
    clip = manifest["optimizer"]["max_grad_norm"]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=options.micro, num_train_epochs=1,
        gradient_accumulation_steps=per_step // at_once, max_grad_norm=clip or 1e30,
        train_sampling_strategy="sequential", remove_unused_columns=False, report_to="none", logging_steps=1,
        save_strategy="steps" if manifest["checkpoint_every"] else "no", save_steps=manifest["checkpoint_every"] or 1,
        save_total_limit=max(manifest["keep"], 2), seed=manifest["seed"], disable_tqdm=True, push_to_hub=False,
        use_cpu=here.device.type == "cpu", dataloader_pin_memory=False,
        **({"gradient_checkpointing": True} if options.recompute else {}),
    )
    if arguments.n_gpu > 1:
        raise Refused("this process sees several cards; start one a card: torchrun --nproc-per-node gpu train.py ..")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        options.model, dtype=getattr(torch, manifest["dtype"]), trust_remote_code=False, use_safetensors=True,
        local_files_only=True, attn_implementation="sdpa",
    )
    model.config.use_cache = False
    model = peft.PeftModel.from_pretrained(model, HERE / "adapter", is_trainable=True)
    if options.recompute:
        model.enable_input_require_grads()
    items = Items(steps, per_step)
    run = Run(model=model, args=arguments, train_dataset=items, data_collator=lambda batch: {"items": batch})
    run.remove_callback(transformers.PrinterCallback)
    run.prepare(manifest, docs, steps)
    run.add_callback(Steps(run, told, options.out, held_out, proof))
    run.train(resume_from_checkpoint=newest_checkpoint(options.out))
    run.hand_in(folder, len(steps), proof)


if __name__ == "__main__":
    try:
        main()
    except Refused as sentence:
        sys.exit(str(sentence))
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(f"{error.filename}: {error.strerror}; is the folder whole, and may it be written?")
