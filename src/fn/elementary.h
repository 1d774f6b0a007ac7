/*
 * elementary.h - elementary functions whose last bit does not depend on the C library.
 *
 * Servers that clients compare answers with compute them in one certain way: by the polynomials of the Cephes library (S. Moshier) and of
 * fdlibm (Sun), in one certain order of operations. Here is the same order, so the same bits; C libraries differ from it in the last one.
 */
#ifndef AF_FN_ELEMENTARY_H
#define AF_FN_ELEMENTARY_H

double elementary_sin(double x);
double elementary_cos(double x);
double elementary_tan(double x);
double elementary_asin(double x);
double elementary_acos(double x);
double elementary_atan(double x);
double elementary_atan2(double y, double x);
double elementary_exp(double x);
double elementary_log(double x);
double elementary_log2(double x);
double elementary_log10(double x);
double elementary_pow(double x, double y);
#endif
