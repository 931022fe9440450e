/** The version of the package. native/store/version.h has the same, and package.json; a test holds them together. */
export const VERSION = '0.1.0';
