// Names of a schema as names of C++. Pure.

/** The keywords of C++ up to C++23, and the words that stand for operators. */
const KEYWORDS =
  'alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl concept const ' +
  'consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do double dynamic_cast else ' +
  'enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr ' +
  'operator or or_eq private protected public register reinterpret_cast requires return short signed sizeof static static_assert ' +
  'static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned using virtual void ' +
  'volatile wchar_t while xor xor_eq';

/** Macros of compilers and of the C library that have the form of a metric's name. */
const MACROS =
  'linux unix i386 errno assert stdin stdout stderr major minor makedev offsetof setjmp sigsetjmp va_arg va_copy va_end va_start ' +
  'alloca st_atime st_mtime st_ctime sa_handler sa_sigaction si_pid si_uid si_addr si_value si_status s6_addr h_addr ' +
  'NULL EOF NAN INFINITY HUGE_VAL BUFSIZ TRUE FALSE BIG_ENDIAN LITTLE_ENDIAN BYTE_ORDER PDP_ENDIAN';

const KEPT = new Set(`${KEYWORDS} ${MACROS}`.split(' '));

/**
 * A name for each of `names`, in a scope that already has `taken`: the name itself where C++ allows that, else with an
 * underscore behind it, or several, so that all differ.
 */
export function cppNames(names: readonly string[], taken: readonly string[] = []): ReadonlyMap<string, string> {
  const isFree = (name: string) => !KEPT.has(name) && !taken.includes(name);
  const used = new Set(names.filter(isFree));
  const found = new Map<string, string>();
  for (const name of names) {
    let own = name;
    if (!isFree(name)) {
      do own += '_';
      while (used.has(own) || !isFree(own));
      used.add(own);
    }
    found.set(name, own);
  }
  return found;
}

/** Whether `text` is a name for a namespace, such as `metrics` or `vmm::metrics`. */
export function isNamespace(text: string): boolean {
  return text.split('::').every((part) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(part) && !KEPT.has(part));
}
