// Which tab writes a text. The others follow it, and can ask for it.
//
// The owner holds a lock of the browser. Browsers give locks to safe addresses only (https, and this machine); at
// others the tabs ask one another, and a tab that hears nothing within a moment owns the text.

const ANSWER = 300; // ms within which another tab answers

export class Owner {
  // `act`: {owned(owns), give(), changed(id, branch)}: whether this tab owns the text that it shows; another tab asks
  // for it; another tab has changed a text.
  constructor(act) {
    this.act = act;
    this.id = null; // the text that this tab shows
    this.owns = false;
    this.release = () => {};
    this.answered = () => {};
    this.me = `${Date.now()} ${Math.random()}`;
    this.channel = new BroadcastChannel("pantoum");
    this.channel.onmessage = ({ data }) => this.hear(data);
  }

  tell(id, branch) {
    this.channel.postMessage({ kind: "changed", id, branch });
  }

  hear({ kind, id, branch, from }) {
    if (kind === "changed") this.act.changed(id, branch);
    if ((kind === "mine" || kind === "given") && id === this.asked) this.answered(kind);
    if (id !== this.id) return;
    if (kind === "who" && (this.owns || (this.asking && this.me < from))) this.channel.postMessage({ kind: "mine", id });
    if (kind === "free" && !this.owns && !document.hidden) this.show(id);
    if (kind === "give" && this.owns) {
      this.act.give();
      this.leave("given");
      this.act.owned(false);
    }
  }

  // This tab shows a text: it owns it, unless another tab does.
  async show(id) {
    if (this.id === id && this.owns) return;
    this.leave("free");
    this.id = id;
    const owns = await this.claim(id, { ifAvailable: true });
    if (this.id === id) this.act.owned((this.owns = owns));
  }

  // Asks the owner for the text; one that does not answer has lost it.
  async take() {
    const { id } = this;
    const heard = this.hears(id);
    this.channel.postMessage({ kind: "give", id });
    await heard;
    const owns = await this.claim(id, { steal: true });
    if (this.id === id) this.act.owned((this.owns = owns));
  }

  leave(word) {
    if (this.owns) {
      this.release();
      this.channel.postMessage({ kind: word, id: this.id });
    }
    this.owns = false;
  }

  // Whether no other tab owns a text.
  async free(id) {
    if (this.id === id) return this.owns;
    if (!navigator.locks) return (await this.ask(id)) !== "mine";
    return navigator.locks.request(`pantoum.${id}`, { ifAvailable: true }, (lock) => Boolean(lock));
  }

  async ask(id) {
    const heard = this.hears(id);
    this.channel.postMessage({ kind: "who", id, from: this.me });
    return heard;
  }

  hears(id) {
    this.asked = id;
    return new Promise((resolve) => {
      this.answered = resolve;
      setTimeout(resolve, ANSWER);
    });
  }

  async claim(id, how) {
    if (!navigator.locks) {
      if (how.steal) return true;
      this.asking = true;
      const word = await this.ask(id);
      this.asking = false;
      return word !== "mine";
    }
    return new Promise((resolve) => {
      const held = navigator.locks.request(`pantoum.${id}`, how, (lock) => {
        const wanted = lock && this.id === id; // or another text is shown by now
        resolve(Boolean(wanted));
        return wanted ? new Promise((release) => (this.release = release)) : null;
      });
      held.catch(() => {
        if (this.id === id && this.owns) this.act.owned((this.owns = false)); // another tab has taken it
        resolve(false);
      });
    });
  }
}
