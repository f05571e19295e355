// From Calico 3.32 on, iBGP carries the kernel's metric of a route in LOCAL_PREF, so that a pod that is moving is preferred where it
// arrives (specs on Calico, section 0).

/** What a metric is taken from. */
const LOCAL_PREF_MAX = 2_147_483_647;

/** Felix's metric of a pod's route, and BIRD's of any route that has none. */
const NORMAL_METRIC = 1024;

/** LOCAL_PREF of a route with the normal metric: 2147482623. */
export const NORMAL_LOCAL_PREF = LOCAL_PREF_MAX - NORMAL_METRIC;

/** Preference in BIRD of what is better than normal; BGP has 100 else. */
export const ELEVATED_PREFERENCE = 200;
