/// Memory of the host that holds the contents of a file, for devices that can read it where it lies.
///
/// Writing to it changes no file: a page that is written becomes memory of the program.
public protocol HostMemory: AnyObject {
  /// As long as this object lives.
  var bytes: UnsafeRawBufferPointer { get }

  /// Gives back the memory of pages that were read and not written; touching them again reads them again.
  ///
  /// - Parameter range: of `bytes`.
  func release(_ range: Range<Int>)
}
