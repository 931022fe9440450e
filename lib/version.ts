/** The version of the package. A test compares it with native/store/version.h and package.json. */
export const VERSION = '0.2.0';
