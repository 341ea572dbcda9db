/**
 * What to do on a machine so that a real Redis can be found: nothing, install one, or say what to type.
 * Pure: everything that it knows about the machine is in `Facts`, so that every decision stands in a test.
 */

export interface Facts {
  /** COTERIE_TEST_REDIS; empty when it is not set. */
  readonly forced: string;
  /** True when COTERIE_REDIS_URLS names instances. */
  readonly hasUrls: boolean;
  /** Of redis-server or valkey-server on the PATH. */
  readonly serverPath: string | undefined;
  /** No engine answers, or one answers that has to pull the image first, or it is there already. */
  readonly containers: "none" | "engine" | "image";
  readonly hasApt: boolean;
  readonly hasBrew: boolean;
  /** Root itself, root by sudo without a password, or neither. */
  readonly rights: "root" | "sudo" | "none";
  /** True where systemd runs the services. */
  readonly hasSystemd: boolean;
  /** What a person would type here. */
  readonly installCommand: string;
}

export interface Step {
  readonly command: readonly string[];
  /** A failure of it is not the end: the next steps are tried. */
  readonly mayFail: boolean;
  readonly limitSeconds: number;
}

export type Plan =
  | { readonly kind: "ready"; readonly say: string }
  | { readonly kind: "install"; readonly say: string; readonly steps: readonly Step[] }
  | { readonly kind: "stop"; readonly say: string };

export function planRedis(facts: Facts): Plan {
  if (facts.forced === "external" || (facts.forced === "" && facts.hasUrls)) return planExternal(facts);
  if (facts.forced === "container") return planContainers(facts);
  if (facts.serverPath !== undefined) return ready(facts.serverPath);
  const containersCount = facts.forced === "";
  if (containersCount && facts.containers === "image")
    return ready("containers, as no redis-server is installed");
  if (facts.hasApt && facts.rights !== "none") return planApt(facts);
  if (facts.hasBrew) return planBrew();
  if (containersCount && facts.containers === "engine")
    return ready("containers, whose image is pulled first");
  return stop(
    "there is none on this machine, and installing it needs a password or a package manager",
    facts,
  );
}

function planExternal({ hasUrls }: Facts): Plan {
  if (hasUrls) return ready("the instances in COTERIE_REDIS_URLS");
  return {
    kind: "stop",
    say: "Redis: COTERIE_TEST_REDIS is external, so set COTERIE_REDIS_URLS=redis://host:port",
  };
}

function planContainers(facts: Facts): Plan {
  if (facts.containers !== "none") return ready("containers, as COTERIE_TEST_REDIS says");
  return {
    kind: "stop",
    say: "Redis: COTERIE_TEST_REDIS is container, and no container engine answers `docker info`",
  };
}

/**
 * Debian's package starts a service of its own on port 6379 and at every boot. Nobody asked for that, so
 * the service is masked until the next boot while the package is installed, and then disabled; where there
 * is no systemd, it is stopped and disabled afterwards (docs/decisions/0021).
 */
function planApt({ rights, hasSystemd }: Facts): Plan {
  const asRoot = rights === "sudo" ? ["sudo", "-n"] : [];
  const service = (...command: string[]): Step => ({
    command: [...asRoot, ...command],
    mayFail: true,
    limitSeconds: 60,
  });
  const apt = (mayFail: boolean, limitSeconds: number, ...words: string[]): Step => ({
    command: [
      ...asRoot,
      "env",
      "DEBIAN_FRONTEND=noninteractive",
      "NEEDRESTART_SUSPEND=1",
      "apt-get",
      ...APT_BOUNDS,
      ...words,
    ],
    mayFail,
    limitSeconds,
  });
  const steps = [
    // An outdated or unreachable third-party source must not keep Debian's own package from being installed.
    apt(true, 180, "update", "-qq"),
    ...(hasSystemd ? [service("systemctl", "mask", "--runtime", "redis-server.service")] : []),
    apt(false, 300, "install", "-y", "-qq", "--no-install-recommends", "redis-server"),
    ...(hasSystemd
      ? [
          service("systemctl", "unmask", "--runtime", "redis-server.service"),
          service("systemctl", "disable", "redis-server.service"),
        ]
      : [
          service("invoke-rc.d", "--quiet", "redis-server", "stop"),
          service("update-rc.d", "redis-server", "disable"),
        ]),
  ];
  const by = rights === "sudo" ? "sudo -n apt-get" : "apt-get";
  return {
    kind: "install",
    say: `Redis: none here, so ${by} installs redis-server, without its service (a minute)`,
    steps,
  };
}

const APT_BOUNDS = [
  "-o",
  "DPkg::Lock::Timeout=120",
  "-o",
  "Acquire::Retries=2",
  "-o",
  "Acquire::http::Timeout=20",
  "-o",
  "Acquire::https::Timeout=20",
];

function planBrew(): Plan {
  const command = ["env", "HOMEBREW_NO_AUTO_UPDATE=1", "HOMEBREW_NO_ENV_HINTS=1", "brew", "install", "redis"];
  const step: Step = { command, mayFail: false, limitSeconds: 600 };
  return {
    kind: "install",
    say: "Redis: none here, so brew installs it, without its service (some minutes)",
    steps: [step],
  };
}

function ready(what: string): Plan {
  return { kind: "ready", say: `Redis: ${what}` };
}

/** The last words of every plan that cannot go on; also used when an installation fails. */
export function stop(
  why: string,
  { installCommand }: Pick<Facts, "installCommand">,
): Plan & { readonly kind: "stop" } {
  const elsewhere = "Or use instances that run already: COTERIE_REDIS_URLS=redis://host:port";
  return { kind: "stop", say: `Redis: ${why}.\nType:\n\n    ${installCommand}\n\n${elsewhere}` };
}
