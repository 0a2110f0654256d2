use access::{Handle, SessionPermit};
use proto::Failure;
use proto::catalog::TokenTemplate as Template;
use proto::token::v1::rpc::GetTokenTemplates;
use proto::token::v1::{GetTokenTemplatesRequest, GetTokenTemplatesResponse, TokenTemplate};

use crate::grpc::{Authority, answer};

impl Handle<GetTokenTemplates> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        _: GetTokenTemplatesRequest,
    ) -> Result<GetTokenTemplatesResponse, Failure> {
        self.session(permit).await?;
        let sets = self.catalog.templates().iter().filter(|(template, _)| *template != Template::Custom);
        let templates = sets.map(|(template, name)| TokenTemplate {
            id: (*template).into(),
            name: name.clone(),
            api_list_items: answer::items(&self.catalog.template_methods(*template)),
        });
        Ok(GetTokenTemplatesResponse { templates: templates.collect() })
    }
}
