/// What can go wrong between a request and a device.
///
/// Every description is one line that names the operation.
public enum ComputeError: Error, Sendable, CustomStringConvertible {
  /// Two shapes that do not go together.
  case shapeMismatch(operation: String, Shape, Shape)
  /// An element type that the operation does not take.
  case unsupportedDType(operation: String, argument: String, DType)
  /// An argument outside its range, in words.
  case invalidArgument(operation: String, String)
  /// A row number outside the table it points into.
  case indexOutOfRange(operation: String, index: Int, bound: Int)
  /// The device could not provide this many bytes.
  case outOfMemory(device: String, requested: Int, detail: String)
  /// A driver call failed: the code's name, the call or kernel, and the sizes involved.
  case deviceFailure(device: String, code: String, operation: String, detail: String)
  /// Device code that does not build: the kernel source's name and the compiler's log.
  case buildFailure(device: String, program: String, log: String)
  /// Something that this backend does not do, in words.
  case unsupported(operation: String, String)
  /// No device of that description.
  case noSuchDevice(String)

  public var description: String {
    switch self {
    case .shapeMismatch(let operation, let first, let second):
      "\(operation): shapes \(first) and \(second) do not go together"
    case .unsupportedDType(let operation, let argument, let dtype):
      "\(operation): \(argument) cannot be \(dtype.rawValue)"
    case .invalidArgument(let operation, let detail), .unsupported(let operation, let detail):
      "\(operation): \(detail)"
    case .indexOutOfRange(let operation, let index, let bound):
      "\(operation): row \(index) is outside 0..<\(bound)"
    case .outOfMemory(let device, let requested, let detail):
      "\(device): cannot allocate \(requested) bytes\(detail.isEmpty ? "" : " (\(detail))")"
    case .deviceFailure(let device, let code, let operation, let detail):
      "\(device): \(code) in \(operation)\(detail.isEmpty ? "" : " (\(detail))")"
    case .buildFailure(let device, let program, let log):
      "\(device): \(program) does not build: "
        + log.split(whereSeparator: \.isNewline).joined(separator: " | ")
    case .noSuchDevice(let detail):
      detail
    }
  }
}
