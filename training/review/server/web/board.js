// The photos of the round and what everybody said of them, as far as this tab has heard.

export const TITLES = { plant: "plant", no_plant: "no plant", unfit: "unfit", other: "other", unsure: "unsure" };

// "no_plant" and "unfit" for an other with its kind, else the label itself.
export const meaning = (decision) => decision.kind || decision.label;

export class Board {
  constructor(round, reviewer) {
    this.photos = round.photos;
    this.position = new Map(round.photos.map((photo, position) => [photo.id, position]));
    this.reviewer = reviewer;
    this.number = 0; // of the newest decision heard of
    this.looks = new Map(); // photo id -> reviewer -> decisions not taken back, the last one stands
  }

  // Takes in decisions in the order of their numbers; those known already are left out.
  take(decisions) {
    const changed = [];
    for (const decision of decisions) {
      if (decision.number <= this.number) continue;
      this.number = decision.number;
      const byReviewer = this.looks.get(decision.id) || new Map();
      this.looks.set(decision.id, byReviewer);
      const looks = byReviewer.get(decision.reviewer) || [];
      byReviewer.set(decision.reviewer, looks);
      if (decision.undone) looks.pop();
      else looks.push(decision);
      changed.push(decision);
    }
    return changed;
  }

  // My own decision on a photo that stands, or undefined.
  mine(id) {
    return this.looks.get(id)?.get(this.reviewer)?.at(-1);
  }

  // What others said of a photo: only for those who have said something themselves.
  others(id) {
    if (!this.mine(id)) return [];
    return [...this.looks.get(id)]
      .filter(([reviewer, looks]) => reviewer !== this.reviewer && looks.length)
      .map(([, looks]) => looks.at(-1));
  }

  // Whether others have labelled a photo: then my own first look tells how far we agree.
  isAudited(id) {
    return [...(this.looks.get(id) || [])].some(([name, looks]) => name !== this.reviewer && looks.length);
  }

  reviewers() {
    const names = new Set();
    for (const byReviewer of this.looks.values()) {
      for (const [name, looks] of byReviewer) if (looks.length) names.add(name);
    }
    return [...names].sort();
  }

  // My newest decision that stands and was made on this page, here or in another tab.
  newest() {
    let newest;
    for (const byReviewer of this.looks.values()) {
      const decision = byReviewer.get(this.reviewer)?.at(-1);
      if (decision?.origin === "review" && !(newest?.number > decision.number)) newest = decision;
    }
    return newest;
  }

  counts() {
    const counts = { labelled: 0, plant: 0, other: 0, unsure: 0 };
    for (const { id } of this.photos) {
      const decision = this.mine(id);
      if (!decision) continue;
      counts.labelled += 1;
      counts[decision.label] += 1;
    }
    return counts;
  }

  // Positions of the photos to show, most suspicious first; second looks in the server's order.
  list({ view, reason, selected, source }, secondLooks) {
    const fits = ({ reasons, selected_by: by, source: from }) =>
      (!reason || (reason === "none" ? !reasons.length : reasons.includes(reason))) &&
      (!selected || by.includes(selected)) && (!source || from === source);
    const inView = (id) => {
      const decision = this.mine(id);
      if (view === "all") return true;
      if (view === "todo") return !decision;
      return Boolean(decision) && (meaning(decision) === view || decision.label === view);
    };
    const candidates = view === "second"
      ? secondLooks.map(({ id }) => this.position.get(id)).filter((at) => at !== undefined)
      : this.photos.map((_, position) => position).filter((at) => inView(this.photos[at].id));
    return candidates.filter((position) => fits(this.photos[position]));
  }
}
