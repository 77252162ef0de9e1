// Trampolines from the OpenCL API to the ICD loader, found with dlopen.

#include "COpenCL.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *library = NULL;

static void load(void) {
  static const char *const names[] = {
#if defined(__APPLE__)
      "/System/Library/Frameworks/OpenCL.framework/OpenCL",
#endif
      "libOpenCL.so.1",
      "libOpenCL.so",
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0] && library == NULL; i++)
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
}

int copencl_load(void) {
  pthread_once(&once, load);
  return library != NULL;
}

// The address of a function, kept where the function is defined: a kernel takes dozens of calls, and the loader compares
// strings for each name.
static void *symbol(const char *name, _Atomic(void *) *found) {
  void *address = atomic_load_explicit(found, memory_order_relaxed);
  if (address == NULL && copencl_load()) {
    address = dlsym(library, name);
    atomic_store_explicit(found, address, memory_order_relaxed);
  }
  return address;
}

// A function that returns a status.
#define STATUS(NAME, PARAMETERS, ARGUMENTS)                           \
  cl_int CL_API_CALL NAME PARAMETERS {                                \
    static _Atomic(void *) found;                                     \
    cl_int(CL_API_CALL *function) PARAMETERS = symbol(#NAME, &found); \
    return function ? function ARGUMENTS : COPENCL_NOT_LOADED;        \
  }

// A function that returns an object and stores its status at `status`.
#define OBJECT(TYPE, NAME, PARAMETERS, ARGUMENTS)                    \
  TYPE CL_API_CALL NAME PARAMETERS {                                 \
    static _Atomic(void *) found;                                    \
    TYPE(CL_API_CALL * function) PARAMETERS = symbol(#NAME, &found); \
    if (function) return function ARGUMENTS;                         \
    if (status) *status = COPENCL_NOT_LOADED;                        \
    return NULL;                                                     \
  }

STATUS(clGetPlatformIDs,
       (cl_uint a, cl_platform_id *b, cl_uint *c),
       (a, b, c))
STATUS(clGetPlatformInfo,
       (cl_platform_id a, cl_platform_info b, size_t c, void *d, size_t *e),
       (a, b, c, d, e))
STATUS(clGetDeviceIDs,
       (cl_platform_id a, cl_device_type b, cl_uint c, cl_device_id *d, cl_uint *e),
       (a, b, c, d, e))
STATUS(clGetDeviceInfo,
       (cl_device_id a, cl_device_info b, size_t c, void *d, size_t *e),
       (a, b, c, d, e))
STATUS(clRetainContext,
       (cl_context a),
       (a))
STATUS(clReleaseContext,
       (cl_context a),
       (a))
STATUS(clGetContextInfo,
       (cl_context a, cl_context_info b, size_t c, void *d, size_t *e),
       (a, b, c, d, e))
STATUS(clReleaseCommandQueue,
       (cl_command_queue a),
       (a))
STATUS(clReleaseMemObject,
       (cl_mem a),
       (a))
STATUS(clSetMemObjectDestructorCallback,
       (cl_mem a, void(CL_CALLBACK *b)(cl_mem, void *), void *c),
       (a, b, c))
STATUS(clBuildProgram,
       (cl_program a, cl_uint b, const cl_device_id *c, const char *d, void(CL_CALLBACK *e)(cl_program, void
        *), void *f),
       (a, b, c, d, e, f))
STATUS(clGetProgramInfo,
       (cl_program a, cl_program_info b, size_t c, void *d, size_t *e),
       (a, b, c, d, e))
STATUS(clGetProgramBuildInfo,
       (cl_program a, cl_device_id b, cl_program_build_info c, size_t d, void *e, size_t *f),
       (a, b, c, d, e, f))
STATUS(clReleaseProgram,
       (cl_program a),
       (a))
STATUS(clCreateKernelsInProgram,
       (cl_program a, cl_uint b, cl_kernel *c, cl_uint *d),
       (a, b, c, d))
STATUS(clGetKernelInfo,
       (cl_kernel a, cl_kernel_info b, size_t c, void *d, size_t *e),
       (a, b, c, d, e))
STATUS(clReleaseKernel,
       (cl_kernel a),
       (a))
STATUS(clSetKernelArg,
       (cl_kernel a, cl_uint b, size_t c, const void *d),
       (a, b, c, d))
STATUS(clEnqueueNDRangeKernel,
       (cl_command_queue a, cl_kernel b, cl_uint c, const size_t *d, const size_t *e, const size_t *f,
        cl_uint g, const cl_event *h, cl_event *i),
       (a, b, c, d, e, f, g, h, i))
STATUS(clEnqueueReadBuffer,
       (cl_command_queue a, cl_mem b, cl_bool c, size_t d, size_t e, void *f, cl_uint g, const cl_event *h,
        cl_event *i),
       (a, b, c, d, e, f, g, h, i))
STATUS(clEnqueueWriteBuffer,
       (cl_command_queue a, cl_mem b, cl_bool c, size_t d, size_t e, const void *f, cl_uint g, const
        cl_event *h, cl_event *i),
       (a, b, c, d, e, f, g, h, i))
STATUS(clEnqueueCopyBuffer,
       (cl_command_queue a, cl_mem b, cl_mem c, size_t d, size_t e, size_t f, cl_uint g, const cl_event *h,
        cl_event *i),
       (a, b, c, d, e, f, g, h, i))
STATUS(clEnqueueFillBuffer,
       (cl_command_queue a, cl_mem b, const void *c, size_t d, size_t e, size_t f, cl_uint g, const cl_event
        *h, cl_event *i),
       (a, b, c, d, e, f, g, h, i))
STATUS(clGetEventInfo,
       (cl_event a, cl_event_info b, size_t c, void *d, size_t *e),
       (a, b, c, d, e))
STATUS(clGetEventProfilingInfo,
       (cl_event a, cl_profiling_info b, size_t c, void *d, size_t *e),
       (a, b, c, d, e))
STATUS(clReleaseEvent,
       (cl_event a),
       (a))
STATUS(clFlush,
       (cl_command_queue a),
       (a))
STATUS(clFinish,
       (cl_command_queue a),
       (a))

OBJECT(cl_context, clCreateContext,
       (const cl_context_properties *a, cl_uint b, const cl_device_id *c, void(CL_CALLBACK *d)(const char *,
        const void *, size_t, void *), void *e, cl_int *status),
       (a, b, c, d, e, status))
OBJECT(cl_command_queue, clCreateCommandQueue,
       (cl_context a, cl_device_id b, cl_command_queue_properties c, cl_int *status),
       (a, b, c, status))
OBJECT(cl_mem, clCreateBuffer,
       (cl_context a, cl_mem_flags b, size_t c, void *d, cl_int *status),
       (a, b, c, d, status))
OBJECT(cl_program, clCreateProgramWithSource,
       (cl_context a, cl_uint b, const char **c, const size_t *d, cl_int *status),
       (a, b, c, d, status))
OBJECT(cl_program, clCreateProgramWithBinary,
       (cl_context a, cl_uint b, const cl_device_id *c, const size_t *d, const unsigned char **e, cl_int *g,
        cl_int *status),
       (a, b, c, d, e, g, status))
OBJECT(cl_kernel, clCreateKernel,
       (cl_program a, const char *b, cl_int *status),
       (a, b, status))
