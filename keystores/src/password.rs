//! Passwords, and the encodings in which the formats take them.

use std::fmt;

use zeroize::Zeroizing;

use crate::StoreError;

/// The longest password taken, in bytes of UTF-8.
pub const MAX_PASSWORD: usize = 4096;

/// A password: text of 1 to [`MAX_PASSWORD`] bytes, wiped when dropped and shown by no `Debug`.
///
/// Only ASCII opens PKCS#12 everywhere: Java (17, as seen) neither reads nor writes PKCS#12 under
/// anything else. It does read its own format.
pub struct Password(Zeroizing<String>);

impl Password {
    /// The password that a Secret or a manifest holds, down to the last byte: a line feed at its end
    /// belongs to it.
    pub fn new(bytes: &[u8]) -> Result<Self, StoreError> {
        match bytes.len() {
            0 => return Err(StoreError::EmptyPassword),
            length if length > MAX_PASSWORD => return Err(StoreError::LongPassword { length }),
            _ => {}
        }
        let text = str::from_utf8(bytes).map_err(|_| StoreError::PasswordNotText)?;
        Ok(Password(Zeroizing::new(text.to_owned())))
    }

    /// As PBES2 and PBMAC1 take it (RFC 8018 section 3, RFC 9879).
    pub(crate) fn utf_8(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// As Java takes it: every UTF-16 unit in two bytes, the higher first.
    pub(crate) fn utf_16(&self) -> Zeroizing<Vec<u8>> {
        self.utf_16_and(&[])
    }

    /// As PKCS#12's own derivation takes it: a BMPString that ends in a null character (RFC 7292
    /// appendix B.1).
    pub(crate) fn bmp(&self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        match self.0.chars().all(|c| c.len_utf16() == 1) {
            true => Ok(self.utf_16_and(&[0, 0])),
            false => Err(StoreError::PasswordNotBmp),
        }
    }

    fn utf_16_and(&self, end: &[u8]) -> Zeroizing<Vec<u8>> {
        // No more than two bytes a byte, so that nothing is moved and left behind unwiped.
        let mut encoded = Zeroizing::new(Vec::with_capacity(2 * self.0.len() + end.len()));
        self.0.encode_utf16().for_each(|unit| encoded.extend_from_slice(&unit.to_be_bytes()));
        encoded.extend_from_slice(end);
        encoded
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_gets_its_own_encoding() {
        let password = Password::new("pä€".as_bytes()).unwrap();
        assert_eq!(password.utf_8(), "pä€".as_bytes());
        assert_eq!(*password.utf_16(), [0, 0x70, 0, 0xe4, 0x20, 0xac]);
        assert_eq!(*password.bmp().unwrap(), [0, 0x70, 0, 0xe4, 0x20, 0xac, 0, 0]);
    }

    #[test]
    fn characters_above_the_basic_plane_are_for_java_alone() {
        let password = Password::new("🔑".as_bytes()).unwrap();
        assert_eq!(*password.utf_16(), [0xd8, 0x3d, 0xdd, 0x11]);
        assert_eq!(password.bmp().map(|_| ()), Err(StoreError::PasswordNotBmp));
    }

    #[test]
    fn what_is_no_password_is_refused_without_being_quoted() {
        let refused = |bytes: &[u8]| Password::new(bytes).map(|_| ()).unwrap_err();
        assert_eq!(refused(b""), StoreError::EmptyPassword);
        assert_eq!(refused(&[b'x', 0xff]), StoreError::PasswordNotText);
        assert_eq!(refused(&[b'x'; 4097]), StoreError::LongPassword { length: 4097 });
        assert!(Password::new(&[b'x'; 4096]).is_ok());
    }

    #[test]
    fn debug_output_does_not_show_it() {
        assert_eq!(format!("{:?}", Password::new(b"s3cret").unwrap()), "Password");
    }
}
