// The OpenCL 1.2 API, resolved when it is first asked for.
//
// Callers use the functions of <CL/cl.h> under their own names. Those names are defined in COpenCL.c as trampolines into
// the ICD loader, so a program that links this target starts on a machine that has no OpenCL at all.

#ifndef COPENCL_H
#define COPENCL_H

#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS 1

// Hidden, so that the loader's own symbols of these names are never replaced by the trampolines.
#pragma GCC visibility push(hidden)
#if defined(__APPLE__)
#include <OpenCL/opencl.h>
#else
#include <CL/cl.h>
#endif
#pragma GCC visibility pop

// What every function returns when there is no loader (CL_PLATFORM_NOT_FOUND_KHR of cl_ext.h).
enum { COPENCL_NOT_LOADED = -1001 };

// Loads the ICD loader if that has not been tried yet. Returns 1 if it is there, else 0. Any thread may call it.
int copencl_load(void);

#endif
