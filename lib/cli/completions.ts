// `vmm-metrics completions`: the scripts by which shells complete commands, options and their values.

import { checkedChoice } from '../arguments.ts';
import { asUsageError, type Command, type Option, parsed } from './command.ts';

const HELP = `Usage: vmm-metrics completions SHELL

Prints the script by which a shell completes the commands, options and values of
vmm-metrics. SHELL is bash, zsh or fish.

  bash  vmm-metrics completions bash \\
          > ~/.local/share/bash-completion/completions/vmm-metrics
  zsh   vmm-metrics completions zsh > ~/.zfunc/_vmm-metrics
        (~/.zfunc must be in fpath before compinit)
  fish  vmm-metrics completions fish \\
          > ~/.config/fish/completions/vmm-metrics.fish

Or for the running shell only: source <(vmm-metrics completions bash)
`;

const SHELLS = ['bash', 'zsh', 'fish'] as const;
const OPTIONS = {} as const;

type Commands = Readonly<Record<string, Command>>;

/** `commands` returns all commands, this one included. */
export function completionsOf(commands: () => Commands): Command {
  return {
    summary: 'print a script that completes commands in a shell',
    help: HELP,
    options: OPTIONS,
    operands: SHELLS,
    async run(args) {
      const { operands } = parsed(args, OPTIONS, ['SHELL']);
      const shell = asUsageError(() => checkedChoice('SHELL', operands[0], SHELLS));
      process.stdout.write(SCRIPTS[shell](commands()));
      return 0;
    },
  };
}

/** One option of a command, as a user types it and as the help describes it. */
interface Completion extends Option {
  readonly long: string;
  readonly doc: string;
}

const HELP_OPTION: Completion = { long: 'help', short: 'h', type: 'boolean', doc: 'print the help' };

function optionsOf({ options, help }: Command): Completion[] {
  return [...Object.entries(options).map(([long, option]) => ({ ...option, long, doc: docIn(help, long) })), HELP_OPTION];
}

/** The beginning of what the help says about an option, without characters that mean something to a shell. */
function docIn(help: string, long: string): string {
  const lines = help.split('\n');
  const at = lines.findIndex((line) => new RegExp(`^ {2}(-\\w, )?--${long}( |$)`).test(line));
  const [first = '', ...rest] = lines.slice(Math.max(at, 0));
  const end = rest.findIndex((line) => !/^ {4}/.test(line));
  const own = first.replace(/^ {2}(-\w, )?--\S+( (?:[A-Z]\S*|[a-z]+\|[a-z|]+)(?=\s|$))?/, '');
  const text = [own, ...rest.slice(0, end)].map((line) => line.trim()).join(' ');
  return text
    .trim()
    .split(/[.;:](?:\s|$)|\(/)[0]!
    .trim()
    .replace(/[^\w .,/*-]/g, '');
}

const names = ({ long, short }: Completion) => [`--${long}`, ...(short === undefined ? [] : [`-${short}`])];
const words = (all: readonly string[]) => `'${all.join(' ')}'`;

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], (commands: Commands) => string>> = { bash, zsh, fish };

function bash(commands: Commands): string {
  const all = Object.entries(commands);
  const values = all.flatMap(([name, command]) =>
    optionsOf(command).flatMap((option) => {
      if (option.type === 'boolean') return [];
      const { value = [] } = option;
      const action = value === 'file' ? 'kind=files' : `kind=words list=${words(value)}`;
      return `    ${names(option)
        .map((one) => `${name},${one}`)
        .join('|')}) ${action} ;;`;
    }),
  );
  const operands = all.map(([name, command]) => {
    const list = words(optionsOf(command).flatMap(names));
    const action = command.operands === 'file' ? 'kind=files' : `kind=words list=${words(command.operands)}`;
    return `    ${name}) options=${list} ${action} ;;`;
  });
  return `# Completes vmm-metrics in bash. Printed by: vmm-metrics completions bash
_vmm_metrics() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} kind='' list='' options=''
  local IFS=$' \\t\\n'
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W ${words([...Object.keys(commands), '--help', '--version'])} -- "$word"))
    return
  fi
  # Bash splits --option=value in three.
  [[ $word == '=' ]] && word=''
  [[ $before == '=' ]] && before=\${COMP_WORDS[COMP_CWORD - 2]}
  case \${COMP_WORDS[1]},$before in
${values.join('\n')}
  esac
  if [[ -z $kind ]]; then
    case \${COMP_WORDS[1]} in
${operands.map((line) => `  ${line}`).join('\n')}
    esac
    [[ $word == -* ]] && kind=words list=$options
  fi
  if [[ $kind == words ]]; then
    COMPREPLY=($(compgen -W "$list" -- "$word"))
  elif [[ $kind == files ]]; then
    IFS=$'\\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}
complete -F _vmm_metrics vmm-metrics
`;
}

function zsh(commands: Commands): string {
  const action = (value: Option['value']) => (value === 'file' ? '_files' : value === undefined ? ' ' : `(${value.join(' ')})`);
  const cases = Object.entries(commands).map(([name, command]) => {
    const specs = optionsOf(command).map((option) => {
      const value = option.type === 'boolean' ? '' : `:${option.long}:${action(option.value)}`;
      const [long, short] = names(option);
      if (short === undefined) return `'${long}[${option.doc}]${value}'`;
      return `'(${long} ${short})'{${long},${short}}'[${option.doc}]${value}'`;
    });
    return `    ${name}) _arguments ${[...specs, `'*:${command.operands === 'file' ? 'file' : 'word'}:${action(command.operands)}'`].join(' \\\n      ')} ;;`;
  });
  return `#compdef vmm-metrics
# Completes vmm-metrics in zsh. Printed by: vmm-metrics completions zsh
_vmm_metrics() {
  local -a commands
  commands=(
${Object.entries(commands)
  .map(([name, { summary }]) => `    '${name}:${summary}'`)
  .join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe -t commands command commands
    _arguments '--help[print the help]' '--version[print the version]'
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
if [[ $funcstack[1] == _vmm-metrics ]]; then
  _vmm_metrics "$@"
else
  compdef _vmm_metrics vmm-metrics
fi
`;
}

function fish(commands: Commands): string {
  const line = (condition: string, rest: string) => `complete -c vmm-metrics -n '${condition}' ${rest}`;
  const action = (value: Option['value']) => (value === 'file' ? '-F' : value === undefined ? '-f' : `-f -a ${words(value)}`);
  const first = '__fish_use_subcommand';
  return [
    '# Completes vmm-metrics in fish. Printed by: vmm-metrics completions fish',
    'complete -c vmm-metrics -f',
    line(first, "-l help -d 'print the help'"),
    line(first, "-l version -d 'print the version'"),
    ...Object.entries(commands).flatMap(([name, command]) => {
      const seen = `__fish_seen_subcommand_from ${name}`;
      const options = optionsOf(command).map((option) => {
        const short = option.short === undefined ? '' : `-s ${option.short} `;
        const value = option.type === 'boolean' ? '' : ` -r ${action(option.value)}`;
        return line(seen, `${short}-l ${option.long}${value} -d '${option.doc}'`);
      });
      return [line(first, `-a ${name} -d '${command.summary}'`), line(seen, action(command.operands)), ...options];
    }),
    '',
  ].join('\n');
}
