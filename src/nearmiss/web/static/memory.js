// What this browser remembers of how somebody likes to work, and this window of where they are; forgotten with the page
// where a browser keeps nothing.

export function remembered(name) {
  try {
    return localStorage.getItem(`nearmiss-${name}`);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`nearmiss-${name}`, value);
  } catch {
    // Nothing is kept, then.
  }
}

export function lastInSight(project) {
  try {
    return Number(sessionStorage.getItem(`nearmiss-in-sight-${project}`));
  } catch {
    return 0;
  }
}

export function keepInSight(project, item) {
  try {
    sessionStorage.setItem(`nearmiss-in-sight-${project}`, item);
  } catch {
    // Nothing is kept, then.
  }
}
