// Loaded before a program: the addon then has no renderer, so that the program renders expositions in JavaScript.

const load = process.dlopen.bind(process);
process.dlopen = (module: object, filename: string, flags?: number) => {
  if (flags === undefined) load(module, filename);
  else load(module, filename, flags);
  const { exports } = module as { exports: Record<string, unknown> };
  delete exports['readExposition'];
  delete exports['writeExposition']; // for trees whose renderer asks for this function
};
