(() => {
  "use strict";
  const liveness = document.getElementById("liveness");
  let seen = document.documentElement.dataset.revision;
  const say = (state, words) => {
    liveness.dataset.state = state;
    if (liveness.textContent !== words) liveness.textContent = words;
  };
  const ask = async (path) => {
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  };
  const look = async () => {
    try {
      const { revision } = await (await ask("/status.json")).json();
      const copying = getSelection().type === "Range";
      if (revision !== seen && !copying) {
        const page = new DOMParser().parseFromString(await (await ask("/")).text(), "text/html");
        document.querySelector("main").replaceWith(page.querySelector("main"));
        document.title = page.title;
        seen = page.documentElement.dataset.revision;
      }
      say("live", copying ? "on hold while text is selected" : "live");
    } catch {
      say("lost", "the mesh does not answer; this is how it stood last");
    }
    setTimeout(look, 1000);
  };
  look();
})();
