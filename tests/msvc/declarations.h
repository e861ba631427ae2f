// Included before our sources by the syntax check for MSVC's dialect in
// platforms.sh: what libc++ expects of Microsoft's headers and wine's lack.
// Nothing here is ever linked.
#pragma once
extern "C" {
#define ONE(f) long double f(long double);
#define TWO(f) long double f(long double, long double);
ONE(acosl) ONE(acoshl) ONE(asinl) ONE(asinhl) ONE(atanl) ONE(atanhl) ONE(cbrtl)
ONE(ceill) ONE(cosl) ONE(coshl) ONE(erfl) ONE(erfcl) ONE(exp2l) ONE(expl)
ONE(expm1l) ONE(fabsl) ONE(floorl) ONE(lgammal) ONE(log10l) ONE(log1pl)
ONE(log2l) ONE(logbl) ONE(logl) ONE(nearbyintl) ONE(sinl) ONE(sinhl)
ONE(sqrtl) ONE(tanl) ONE(tanhl) ONE(tgammal)
TWO(atan2l) TWO(fdiml) TWO(fmaxl) TWO(fminl) TWO(fmodl) TWO(hypotl)
TWO(nextafterl) TWO(nexttowardl) TWO(powl) TWO(remainderl)
#undef ONE
#undef TWO
int ilogbl(long double);
float erfcf(float);
float nexttowardf(float, long double);
double nexttoward(double, long double);
long double frexpl(long double, int*);
long double ldexpl(long double, int);
long double modfl(long double, long double*);
long double remquol(long double, long double, int*);
long double scalblnl(long double, long);
long double scalbnl(long double, int);
}
#include <stddef.h>
struct timespec {
    long long tv_sec;
    long tv_nsec;
};
extern "C" {
struct __crt_locale;
#define MB_CUR_MAX 4
}
#define NOMINMAX 1
#define _InterlockedCompareExchange128 wine_InterlockedCompareExchange128
#include <new>
#include <locale.h>
#include <winsock2.h>
using pollfd = WSAPOLLFD;
extern "C" {
int _islower_l(int, _locale_t);
int _isupper_l(int, _locale_t);
float _strtof_l(const char*, char**, _locale_t);
double _strtod_l(const char*, char**, _locale_t);
}
